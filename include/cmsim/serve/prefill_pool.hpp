// The prefill instances: queue, forming of batches, cache reads ahead, running. Internal to serve/.
//
// An instance runs one batch and forms the next meanwhile: a request taken into it looks up the
// context cache at once, and its cached blocks are read while the running batch computes. A batch
// counts tokens to be computed against the budget; a prompt of which more than a whole budget must
// be computed takes several batches (chunked prefill). When the instance is free and reads are
// still under way, the batch is closed and starts with the last read. KV space of a request is held
// from being taken until its KV has been pulled.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "cmsim/serve/busy_time.hpp"
#include "cmsim/serve/cache_traffic.hpp"
#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/policy.hpp"
#include "cmsim/serve/waiting_list.hpp"

namespace cmsim::serve {

class PrefillPool : private PrefillForecast {
 public:
  using Hook = std::function<void(RequestIndex)>;

  /// `prefilled` runs when the KV of a request's whole context is there.
  PrefillPool(ClusterState& state, Supernode& supernode, const model::PrefillModel& model,
              const Policies& policies, Hook prefilled);

  /// Whether an instance could ever hold the KV of so many tokens.
  bool can_hold(Tokens context) const { return context <= kv_capacity_; }
  /// Routes the request to an instance and queues it; false when it is rejected, as only one that
  /// comes for the first time may be.
  bool enqueue(RequestIndex index);
  /// The KV of the request is no longer needed on its prefill instance.
  void release_kv(RequestIndex index);
  /// The instance takes no more requests; `emptied` runs once, when what it has has left.
  void drain(std::int32_t instance, std::function<void()> emptied);
  /// It takes requests again.
  void serve(std::int32_t instance);
  /// What there is to know since the last look.
  void look(ProportionView& view);
  /// What waits here.
  void add_to(SupernodeView& view) const;
  /// The most that an instance finds in its cache.
  Tokens cached_tokens(const RequestView& request) const;
  /// KV tokens reserved now, over all instances.
  Tokens kv_reserved() const;

 private:
  struct Slice {  // what a batch computes of a request
    RequestIndex request;
    Tokens new_tokens;
    Tokens cached_tokens;  // context before them
  };
  struct Instance {
    model::WireUse wires;
    WaitingList waiting;
    std::vector<Slice> next, running;
    std::int64_t next_blocks = 0, running_blocks = 0;  // read from the cache for them
    RequestIndex unfinished = kNoRequest;  // its next chunk opens the batch after the one it is in
    Tokens budget_left = 0;                // of `next`
    bool closed = false;                   // `next` takes no more
    bool busy = false;
    std::int32_t pending_reads = 0;  // requests of `next` whose blocks are still coming
    Seconds batch_start = 0;
    model::PrefillIteration iteration;
    std::function<void()> emptied;  // told when nothing is left; else empty
  };

  // What policies may ask.
  Seconds batch(std::int32_t instance,
                std::span<const model::PrefillSequence> sequences) const override;
  Seconds backlog(std::int32_t instance) const override;
  Tokens cached_tokens(const RequestView& request, std::int32_t instance) const override;

  /// Those that take requests, as policies see them and number them.
  void show();
  std::int32_t shown(std::int32_t number) const {
    return showing_.empty() ? number : showing_[static_cast<std::size_t>(number)];
  }
  std::span<const PrefillInstanceView> taking() const {
    return showing_.empty() ? std::span<const PrefillInstanceView>(views_) : shown_;
  }
  void check_empty(std::int32_t number);
  std::int32_t route(const RequestView& request);
  bool admits(const RequestView& request, std::int32_t number);
  /// Whole batches of what waits, each prompt as long as the mean.
  Seconds queued(std::int32_t number) const;
  model::PrefillBatch batch_of(std::int32_t number);
  void wake();
  void decide();
  void fill(std::int32_t number);
  bool take(std::int32_t number, std::size_t position);
  void add_slice(std::int32_t number, RequestIndex index);
  void try_start(std::int32_t number);
  void finish_batch(std::int32_t number);

  std::int32_t among_all(std::int32_t number) const { return supernode_.first_prefill + number; }
  Instance& instance(std::int32_t number) { return instances_[static_cast<std::size_t>(number)]; }
  PrefillInstanceView& view(std::int32_t number) {
    return views_[static_cast<std::size_t>(number)];
  }

  ClusterState& state_;
  Supernode& supernode_;
  const model::PrefillModel& model_;
  const Policies& policies_;
  Hook prefilled_;
  CacheTraffic cache_;
  Tokens budget_ = 0, kv_capacity_ = 0;
  std::vector<Instance> instances_;
  std::vector<PrefillInstanceView> views_;
  std::vector<bool> takes_;                 // requests, by instance
  std::vector<std::int32_t> showing_;       // those that do; empty: all
  std::vector<PrefillInstanceView> shown_;  // their views
  BusyTime busy_;
  std::vector<model::PrefillSequence> sequences_;  // scratch
  bool awake_ = false;                             // decide() is scheduled for this date
};

}  // namespace cmsim::serve
