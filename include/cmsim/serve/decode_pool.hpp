// The decode instances: admission, KV pull, continuous batching, preemption; of mixed ones prompts
// too, which are computed instead of pulled. Internal to serve/.
//
// All data-parallel ranks (dies) of an instance step together. A step costs O(ranks that run
// requests) additions on flat arrays and O(requests that join or leave): how many iterations a
// request takes is drawn before, and its output is spread evenly over them, so that a rank's KV
// grows by one known amount a step. A request joins at the first step boundary after its pull. Its
// KV space is reserved from admission on (context first, then growth); when a rank's space is
// exceeded, a request that the policy names is preempted: its KV is dropped and recomputed by
// prefill, over prompt and generated tokens, or copied to DRAM and back. Its space is free at once,
// for the instance waits for the copy. Invariant: reserved KV of a rank =
// whole_tokens(running_kv_) + pending_kv_ <= capacity after a step.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cmsim/serve/busy_time.hpp"
#include "cmsim/serve/chunked_prefill.hpp"
#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/copy_queues.hpp"
#include "cmsim/serve/expert_balancer.hpp"
#include "cmsim/serve/kv_swap.hpp"
#include "cmsim/serve/pipeline_planner.hpp"
#include "cmsim/serve/policy.hpp"
#include "cmsim/serve/waiting_list.hpp"

namespace cmsim::serve {

class DecodePool : private DecodeForecast {
 public:
  struct Hooks {
    std::function<void(RequestIndex)> pulled;     // KV has left the prefill instance
    std::function<void(RequestIndex)> finished;   // all output tokens are out
    std::function<void(RequestIndex)> preempted;  // KV dropped; context is set to what to recompute
    std::function<void(RequestIndex)> outgrown;   // context no longer fits a die
  };
  DecodePool(ClusterState& state, Supernode& supernode, const model::DecodeModel& model,
             const Policies& policies, Hooks hooks);

  /// Whether a die could ever hold a context of so many tokens and generate one more.
  bool can_hold(Tokens context) const { return context + 1 <= kv_capacity_; }
  /// The request's context is prefilled: it waits for a slot and KV space.
  void enqueue(RequestIndex index);
  /// The instance takes no more requests; `emptied` runs once, when those that it has have left.
  /// Who still runs there after `until` is preempted.
  void drain(std::int32_t instance, Seconds until, std::function<void()> emptied);
  /// It takes requests again.
  void serve(std::int32_t instance);
  /// What there is to know since the last look.
  void look(ProportionView& view);
  /// What waits here, and what has a place.
  void add_to(SupernodeView& view) const;
  /// Of mixed instances, the most that one finds in its cache; else 0.
  Tokens cached_tokens(const RequestView& request) const;
  /// Throws InvariantError unless every slot and all KV is free and reserved = released.
  void check_empty() const;
  /// Throws InvariantError unless the KV reserved and not released is what ranks hold; adds both to
  /// the totals.
  void check_balance() const;

 private:
  struct Finish {
    std::int64_t step;
    RequestIndex request;
    std::int32_t epoch;  // preemptions of the request when it joined; else the entry is stale
  };
  struct Instance {
    std::size_t first_rank = 0;
    model::WireUse wires;
    Seconds due = 0;        // when the running step ends, if it meets nothing on the links
    std::int64_t step = 0;  // of the current or next step
    bool busy = false;
    std::int64_t running = 0;
    FixedTokens growth = 0;   // output tokens of one step, all ranks
    FixedTokens emitted = 0;  // so far
    Tokens emitted_reported = 0;
    std::vector<std::size_t> active;  // ranks that run requests, in no order
    std::vector<RequestIndex> ready;  // join at the next boundary
    std::vector<RequestIndex> fresh;  // their first iteration is the running one
    std::vector<RequestIndex> done;   // scratch: finished in this step
    std::vector<Finish> finishes;     // min-heap by (step, request)
    Seconds last_end = -1;
    std::function<void()> emptied;  // told when nothing is left; else empty
    Seconds drained_by = 0;         // then
    std::int64_t sampled = 0;       // join with a token that the step which ended last gave them
    std::int64_t swapping_out = 0;  // copies for which it waits
    bool held = false;              // the next step begins with that wait, when the last has ended
    DecodeStepEvent event;          // of the running step
  };

  // What policies may ask.
  Seconds step(std::int32_t instance, std::span<const std::int32_t> sequences,
               std::span<const Tokens> kv_tokens) const override;
  double tokens_per_step() const override;

  DecodeRanksView ranks() const;
  void wake();
  void decide();
  void admit();
  /// Over the instances that take requests.
  std::int64_t free_slots() const;
  Tokens kv_free() const;
  Tokens open_kv() const;  // all that they have
  std::optional<Admission> next_admission();
  /// Where it goes; what keeps it waiting is said in decode_blocked.
  std::optional<std::size_t> rank_for(const Admission& admission);
  void reserve(RequestIndex index, std::size_t rank);
  void pull(RequestIndex index);
  void swap_in(RequestIndex index);
  void make_ready(RequestIndex index);
  void join(Instance& inst, RequestIndex index);
  void start_step(std::int32_t number);
  void finish_step(std::int32_t number);
  model::DecodeBatch batch_of(std::int32_t number) const;
  bool grow(const Instance& inst);
  void computed(Instance& inst, RequestIndex index);
  void leave(Instance& inst, RequestIndex index, std::int64_t iterations_done);
  void free_place(std::size_t rank);
  /// Slots of the instance's ranks: as deployed, or none.
  void open(std::int32_t number, bool takes);
  void check_empty(std::int32_t number);
  void empty_late(Instance& inst);
  void relieve(Instance& inst);
  /// Who must go, as a policy says.
  RequestIndex choose_victim(const Instance& inst, std::size_t rank);
  void preempt(Instance& inst, RequestIndex index);
  /// Whether the KV of a request that has left the rank goes to DRAM, as a policy says.
  bool keeps_kv(RequestIndex index, std::size_t rank);
  void swap_out(Instance& inst, RequestIndex index, std::size_t rank);
  std::int32_t swap_cpu(std::size_t rank) const;  // that takes its KV; -1: none
  bool is_idle(const Instance& inst) const { return !inst.busy && inst.swapping_out == 0; }
  hw::Endpoint die_of(std::size_t rank) const;
  void update_reserved(std::size_t rank);

  std::int32_t instance_of(std::size_t rank) const {
    return static_cast<std::int32_t>(rank / ranks_per_instance_);
  }
  std::int32_t among_all(std::int32_t number) const { return supernode_.first_decode + number; }
  Instance& instance_with(RequestIndex index) {
    return instance(instance_of(static_cast<std::size_t>(state_.request(index).rank)));
  }
  Instance& instance(std::int32_t number) { return instances_[static_cast<std::size_t>(number)]; }

  ClusterState& state_;
  Supernode& supernode_;
  const model::DecodeModel& model_;
  const Policies& policies_;
  Hooks hooks_;
  std::size_t ranks_per_instance_ = 0;
  ExpertBalancer balancer_;
  PipelinePlanner planner_;
  CopyQueues copies_;
  KvSwap swap_;
  Tokens kv_capacity_ = 0;
  std::optional<ChunkedPrefill> prompts_;  // of mixed instances

  WaitingList waiting_;
  Tokens waiting_tokens_ = 0;  // of their contexts
  std::vector<Instance> instances_;
  // One element a rank, instance after instance.
  std::vector<std::int32_t> slots_;
  std::vector<std::int32_t> prefill_ranks_;  // that each pulls KV from; empty without prefill
  std::vector<std::int32_t> occupied_;       // of them: being pulled, ready or running
  std::vector<std::int32_t> sequences_;      // running
  std::vector<FixedTokens> running_kv_;      // context of the running ones
  std::vector<FixedTokens> rank_growth_;     // of running_kv_ in a step
  std::vector<Tokens> pending_kv_;           // context of those not running yet
  std::vector<Tokens> reserved_kv_;          // both: what a router sees
  std::vector<Tokens> kv_tokens_;            // running_kv_ in whole tokens, for the model
  std::vector<std::size_t> place_in_active_;
  std::vector<RequestIndex> newest_;  // of the running ones by date of joining

  std::vector<std::int64_t> instance_occupied_, instance_slots_;
  std::int64_t open_slots_ = 0;  // of all
  BusyTime busy_;
  Seconds slowest_ = 0;  // of the steps that ended since
  std::int64_t occupied_total_ = 0;
  Tokens kv_reserved_ = 0;  // sum of reserved_kv_
  FixedTokens reserved_ever_ = 0, released_ever_ = 0;
  std::int64_t round_ = 0;  // of admissions
  bool can_admit_ = false;  // something changed since the last request that no rank took
  bool awake_ = false;      // decide() is scheduled for this date, or a step's end will do its work
};

}  // namespace cmsim::serve
