// What the serving system says about itself, as events. Metrics, timeline, progress and log listen;
// nothing in serve/ prints. Times are simulated seconds; -1 = did not happen.
#pragma once

#include <cstdint>
#include <string>

#include "cmsim/base/units.hpp"
#include "cmsim/model/step.hpp"

namespace cmsim::serve {

enum class Outcome : std::uint8_t { kFinished, kRejected, kFailed, kUnfinished };

/// Why a request did not finish; kNone for those that did.
enum class Reason : std::uint8_t {
  kNone,
  kPromptExceedsKv,  // rejected on arrival: prompt + 1 longer than any KV space
  kOutputExceedsKv,  // failed: prompt + generated tokens outgrew the KV space of a whole die
  kInterrupted,      // unfinished: the run was ended early (Ctrl-C or horizon)
  kRejectedEarly,    // rejected on arrival by the policy of prefill admission
  kNotSent,          // unfinished: the run was ended before the request was sent (sent is -1)
};
const char* to_string(Outcome outcome);
const char* to_string(Reason reason);

/// One request from arrival to end; emitted once, when it ends. The phases
///   client wait (closed loop) | prefill queue | cache read | batch wait | prefill | transfer queue
///   | transfer | decode queue | first iteration | decode
/// are the differences of consecutive times and add up to finished - arrival. Phases a role does
/// not have stay -1, and so does the arrival of one that waits for another until it is due.
/// Role::kPrefillOnly ends with prefill: first_token = finished = prefill_end. After a preemption
/// the first times stay: the recomputation counts as decode.
struct RequestRecord {
  std::int64_t id = 0;  // row of the trace
  Tokens prompt_tokens = 0, output_tokens = 0;
  Tokens cached_tokens = 0;       // prompt tokens found in the context cache
  Tokens ssd_tokens = 0;          // of them, those that lay on SSD
  Seconds arrival = 0;            // due: by the trace, or when its user has read the answer before
  Seconds sent = 0;               // handed to the system (closed loop: after waiting at the client)
  Seconds cache_read_start = -1;  // taken from the prefill queue into the next batch
  Seconds cache_read_end = -1;    // its cached blocks have arrived; -1 when it had none
  Seconds prefill_start = -1;     // its (first) batch starts; cached blocks have arrived
  Seconds prefill_end = -1;
  Seconds transfer_start = -1;  // KV pull begins (a decode slot and KV space are reserved)
  Seconds transfer_end = -1;
  Seconds decode_start = -1;  // first iteration it takes part in begins
  Seconds first_token = -1;   // end of that iteration
  Seconds finished = -1;      // end of its last iteration; of the request when rejected or failed
  std::int32_t prefill_instance = -1, decode_instance = -1, decode_rank = -1;
  std::int64_t iterations = 0;          // decode iterations it took part in
  std::int32_t preemptions = 0;         // times it gave its KV space up
  std::int32_t swaps = 0;               // of them, those that left its KV in DRAM
  std::int32_t request_class = 0;       // position in ClusterConfig::classes
  std::uint32_t session = 0, turn = 0;  // of the trace; 0 = of none
  std::int32_t after = -1;    // the request whose end it waits for; -1 = comes by the trace
  Seconds think = 0;          // from that end until it is due
  Tokens initial_tokens = 0;  // output tokens it came with: > 0 only in the staggered first
                              // population of Role::kDecodeOnly (leave out of latencies)
  Outcome outcome = Outcome::kUnfinished;
  Reason reason = Reason::kInterrupted;
};

struct PrefillBatchEvent {
  Seconds start = 0, end = 0;
  std::int32_t instance = 0;
  std::int32_t sequences = 0;
  Tokens new_tokens = 0, cached_tokens = 0;
  model::IterationBytes bytes_per_die = {};
  Seconds late = 0;                // how much longer it took than with the links to itself
  std::int64_t cached_blocks = 0;  // read from the context cache for it
};

struct DecodeStepEvent {
  Seconds start = 0, end = 0;
  std::int32_t instance = 0;
  std::int64_t sequences = 0;   // taking part
  std::int64_t continuing = 0;  // of them, those that the step before gave a token, which ended
                                // when this one began: an inter-token gap of its duration each
  std::int64_t tokens = 0;      // output tokens emitted: a request's are spread evenly over its
                                // iterations; whole tokens, the sum over steps is exact
  Tokens kv_tokens = 0;         // context tokens held at the start
  // Of prompts that a mixed instance computes beside them: how many, their tokens, and tokens of
  // context that these see beside themselves.
  std::int64_t prompts = 0;
  Tokens prompt_tokens = 0, prompt_context = 0;
  model::IterationBytes bytes_per_die = {};
  Seconds late = 0;           // how much longer it took than with the links to itself
  Seconds moving = 0;         // how long it waited for experts that move
  Seconds placement_age = 0;  // of its experts; see ExpertBalancer
  double balancedness = 1;    // mean over the greatest load of the ranks, as expected
};

/// The experts of a decode instance have been placed anew.
struct RebalancingEvent {
  Seconds start = 0, end = 0;  // decided; the last layer has moved
  std::int32_t instance = 0;
  std::int64_t experts = 0;  // weights that dies fetched from each other
  Bytes bytes = 0;           // of them
};

/// A decode instance runs its iterations otherwise from now on.
struct PlanChangeEvent {
  Seconds at = 0;
  std::int32_t instance = 0;
  std::int32_t from = 0, to = 0;  // of model::DecodeModel::plans()
};

enum class TransferKind : std::uint8_t {
  kCacheRead,
  kCacheWrite,
  kKvPull,
  kSsdRead,
  kSsdWrite,
  kSwapOut,
  kSwapIn
};
inline constexpr std::size_t kTransferKinds = 7;
const char* to_string(TransferKind kind);  // "cache_read"
struct TransferEvent {
  Seconds start = 0, end = 0;
  TransferKind kind = TransferKind::kKvPull;
  Bytes bytes = 0;
};

/// Queue lengths, emitted whenever one of them changes.
struct QueueEvent {
  Seconds at = 0;
  std::int64_t prefill_waiting = 0;  // arrived, not in a batch
  std::int64_t prefill_running = 0;
  std::int64_t decode_waiting = 0;  // prefilled, waiting for a slot, KV space or the transfer
  std::int64_t decode_running = 0;
  Tokens decode_kv_reserved = 0;  // tokens of KV space reserved over all decode dies
  /// What keeps the first waiting request from a place in decode.
  enum class Blocked : std::uint8_t { kByNothing, kBySlots, kByKv, kByPolicy };
  Blocked decode_blocked = Blocked::kByNothing;
};

/// Of the SSDs of context caches, in blocks.
struct SsdCounts {
  std::int64_t stored = 0;  // held now; the others so far
  std::int64_t evicted = 0;
  std::int64_t placed = 0;           // written as soon as they were computed
  std::int64_t demoted = 0;          // written when DRAM gave them up
  std::int64_t promoted = 0;         // kept in DRAM, having been read
  std::int64_t prefetched = 0;       // read before they were asked for
  std::int64_t prefetch_used = 0;    // asked for then, in DRAM or on the way there
  std::int64_t prefetch_wasted = 0;  // given up by DRAM before that

  SsdCounts& operator+=(const SsdCounts& other);
};

/// Cache totals so far; emitted with each lookup, and with what moves to or from SSD.
struct CacheEvent {
  Seconds at = 0;
  std::int64_t lookup_blocks = 0, hit_blocks = 0;  // of this lookup
  Tokens lookup_tokens = 0, hit_tokens = 0;
  std::int64_t ssd_hit_blocks = 0;  // of the hits, those that lay on SSD
  Tokens ssd_hit_tokens = 0;
  std::int64_t stored_blocks = 0;   // held in DRAM now
  std::int64_t evicted_blocks = 0;  // by DRAM so far
  SsdCounts ssd = {};
};

enum class InstanceState : std::uint8_t { kServing, kDraining, kLoading };

/// NPUs begin to serve in a role, to leave it, or to load what the role needs. Emitted where roles
/// can change; at the start once for each block.
struct RoleEvent {
  Seconds at = 0;
  std::int32_t supernode = 0, block = 0;
  std::int32_t npus = 0;
  InstanceState state = InstanceState::kServing;
  bool decodes = false;  // in that role, or it computes prompts
};

class Listener {
 public:
  virtual ~Listener() = default;
  virtual void on_request_sent(const RequestRecord&) {}
  virtual void on_request_end(const RequestRecord&) {}
  virtual void on_prefill_batch(const PrefillBatchEvent&) {}  // when it ends
  virtual void on_decode_step(const DecodeStepEvent&) {}      // when it ends
  virtual void on_transfer(const TransferEvent&) {}           // when it ends
  virtual void on_queue(const QueueEvent&) {}
  virtual void on_cache(const CacheEvent&) {}
  virtual void on_role(const RoleEvent&) {}
  virtual void on_rebalancing(const RebalancingEvent&) {}  // when it ends
  virtual void on_plan_change(const PlanChangeEvent&) {}
};

}  // namespace cmsim::serve
