// The prompts that the ranks of mixed instances compute beside their sequences. Internal to serve/.
//
// A prompt is computed where its request decodes: it has its slot and KV space on a rank, looks up
// the context cache, and when its cached blocks are there takes its turn in the iterations of the
// instance. A rank's iteration has a budget of tokens, of which its sequences come first; what is
// left goes to the prompt that was begun, then to those that a policy names. A prompt that does not
// fit is computed in chunks (Sarathi-Serve, arXiv:2403.02310).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "cmsim/serve/cache_traffic.hpp"
#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/policy.hpp"
#include "cmsim/serve/waiting_list.hpp"

namespace cmsim::serve {

class ChunkedPrefill {
 public:
  using Hook = std::function<void(RequestIndex)>;

  /// `ranks` of each instance, which are numbered on their supernode. `readable` runs when a
  /// request can be computed from now on.
  ChunkedPrefill(ClusterState& state, Supernode& supernode, const Policies& policies,
                 std::size_t ranks, Hook readable);

  /// The request has its place: reads what the cache has of its prompt, and then waits.
  void begin(RequestIndex index);
  bool has_work(std::int32_t instance) const;
  /// Of the contexts that have their place here.
  Tokens tokens_to_compute() const { return to_compute_; }
  /// The most that an instance finds in its cache.
  Tokens cached_tokens(const RequestView& request) const;
  /// What the ranks of the instance compute in the iteration that starts, one element a rank: as
  /// much as `sequences` of each leave of the budget.
  void start(std::int32_t instance, std::span<const std::int32_t> sequences,
             DecodeStepEvent& event);
  /// Of the iteration that runs.
  std::span<const model::PromptLoad> loads(std::int32_t instance) const;
  /// The iteration is over: `complete` is told whose whole context has its KV now.
  void finish(std::int32_t instance, const Hook& complete);

 private:
  struct Chunk {
    RequestIndex request;
    Tokens tokens;
  };
  struct Rank {
    WaitingList waiting;
    RequestIndex begun = kNoRequest;  // goes on before all that wait

    bool has_work() const { return begun != kNoRequest || !waiting.empty(); }
  };
  void fill(std::size_t rank, Tokens budget, std::vector<Chunk>& running);
  RequestIndex next(std::size_t rank, Tokens budget_left);

  ClusterState& state_;
  Supernode& supernode_;
  const Policies& policies_;
  Hook readable_;
  CacheTraffic cache_;
  std::size_t ranks_per_instance_;
  Tokens budget_;                                  // of a rank
  Tokens tokens_per_sequence_;                     // that each takes of it
  Tokens to_compute_ = 0;                          // of all that have a place
  std::vector<Rank> ranks_;                        // of all instances
  std::vector<model::PromptLoad> loads_;           // of each, in the iteration that runs
  std::vector<std::vector<Chunk>> runs_;           // of each instance, in it
  std::vector<model::PrefillSequence> sequences_;  // scratch
};

}  // namespace cmsim::serve
