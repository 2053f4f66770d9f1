// What the parts of a cluster share: the requests, the listeners, the counts. Internal to serve/.
//
// The parts (client, prefill pool, decode pool, cache traffic) hold a reference to one ClusterState
// and tell each other through the hooks a pool is given. Not a place for behaviour.
#pragma once

#include <cstdint>
#include <vector>

#include "cmsim/base/random.hpp"
#include "cmsim/coll/runtime.hpp"
#include "cmsim/serve/cluster.hpp"
#include "cmsim/serve/events.hpp"
#include "cmsim/serve/placement.hpp"
#include "cmsim/serve/policy_slots.hpp"
#include "cmsim/serve/request_store.hpp"

namespace cmsim::serve {

using RequestIndex = std::int32_t;  // row of the trace
constexpr RequestIndex kNoRequest = -1;

/// Token amounts of running requests grow by a fraction a step; they are kept as integers of
/// 2^-20 token, so that what was added can be taken off again exactly.
using FixedTokens = std::int64_t;
constexpr int kTokenFraction = 20;
constexpr FixedTokens to_fixed(Tokens tokens) { return tokens << kTokenFraction; }
constexpr Tokens whole_tokens(FixedTokens tokens) { return tokens >> kTokenFraction; }
constexpr FixedTokens fraction_of(FixedTokens tokens) { return tokens & (to_fixed(1) - 1); }

enum class Stage : std::uint8_t {
  kNotSent,
  kPrefillQueue,
  kPrefill,
  kDecodeQueue,
  kPull,
  kReady,
  kDecode,
  kSwapOut
};

struct Request {
  RequestRecord record;
  Stage stage = Stage::kNotSent;
  Tokens context = 0;   // tokens whose KV decode needs: prompt + generated before a preemption
  Tokens computed = 0;  // of them, those whose KV prefill has (cached or computed)
  std::int32_t hit_blocks = 0;
  std::int32_t pending_reads = 0;  // cache flows under way
  std::int64_t iterations = 0;     // it will take in all; drawn when it is sent
  FixedTokens growth = 0;          // output tokens of one iteration
  std::int64_t joined_step = 0;    // of its decode instance
  std::int64_t iterations_before_join = 0;
  Tokens to_decode = 0;        // output tokens that decode iterations emit
  bool kv_in_place = false;    // decode has its KV already: nothing to pull or compute
  bool samples_first = false;  // whoever computes its prompt emits its first token
  std::int32_t supernode = 0;
  std::int32_t rank = -1;        // decode rank, over all instances of the supernode
  std::int32_t swapped_to = -1;  // the CPU whose DRAM has its KV; -1 = none
  RequestIndex newer = kNoRequest,
               older = kNoRequest;  // running on the same rank, by date of joining
};

/// Fans events out to the listeners, in the order they were added.
class Listeners {
 public:
  void add(Listener& listener) { all_.push_back(&listener); }
  template <class Event>
  void emit(void (Listener::*handler)(const Event&), const Event& event) const {
    for (Listener* listener : all_) (listener->*handler)(event);
  }

 private:
  std::vector<Listener*> all_;
};

/// The part of the system on one supernode.
struct Supernode {
  Placement placement;
  std::int32_t first_prefill = 0, first_decode = 0;  // numbers of its instances among all
  QueueEvent::Blocked decode_blocked = QueueEvent::Blocked::kByNothing;
  std::int64_t stored_blocks = 0, evicted_blocks = 0;  // of its caches, in DRAM
  SsdCounts ssd = {};
};

struct ClusterState {
  coll::Runtime& runtime;
  const work::Trace& trace;
  ClusterConfig config;
  std::vector<Supernode> supernodes;
  Listeners listeners;
  ClusterTotals totals;
  RequestStore<Request> requests;

  // Behind QueueEvent; emitted by flush_queue() when changed.
  std::int64_t in_prefill = 0;       // arrived, not prefilled
  std::int64_t prefill_running = 0;  // of them, in a running batch
  std::int64_t decode_waiting = 0, decode_running = 0;
  Tokens decode_kv_reserved = 0;
  QueueEvent last_queue;

  Request& request(RequestIndex index) { return requests[static_cast<std::size_t>(index)]; }
  Seconds now() const { return runtime.now(); }

  /// As a scheduler sees a request that begins to wait in its queue now.
  RequestView seen(RequestIndex index) const;

  /// Emits a QueueEvent when a length has changed since the last; called at the end of a callback.
  void flush_queue();
  /// Starts a transfer that emits a TransferEvent when it ends, then runs `done`.
  void transfer(const coll::Transfer& transfer, TransferKind kind, coll::Runtime::Callback done);
};

/// Sets a time of the way to decode, unless it happened before: times of a record are those of the
/// first pass, and a request recomputed after a preemption keeps what it had.
inline void set_once(RequestRecord& record, Seconds RequestRecord::*time, Seconds now) {
  if (record.*time < 0 && record.decode_start < 0) record.*time = now;
}

/// Throws InvariantError saying `what` unless `holds`.
void require(bool holds, const char* what);

}  // namespace cmsim::serve
