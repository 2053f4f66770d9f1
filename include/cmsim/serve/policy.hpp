// The four decisions of the serving system, each behind an interface of its own, and the registry
// that makes a policy from its name.
//
// A policy takes a view and returns a decision. It owns no clock, does no I/O, keeps state only in
// its own members, and sees only what a real scheduler could: no view has a request's output
// length. Units: tokens, simulated seconds. Invariant: the views are valid only during the call.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmsim/base/units.hpp"

namespace cmsim::serve {

/// A request as a scheduler sees it.
struct RequestView {
  std::int64_t id = 0;  // row of the trace
  Tokens prompt_tokens = 0;
  Tokens context_tokens = 0;  // prompt, plus what was generated before a preemption
  Seconds sent = 0;
  Seconds waiting_since = 0;     // in the queue the view shows
  std::int32_t preemptions = 0;  // so far
};

// ---------------------------------------------------------------- prefill routing: which instance?

struct PrefillInstanceView {
  std::int64_t waiting_requests = 0;
  Tokens waiting_tokens = 0;  // prompt tokens in its queue
  Tokens batched_tokens = 0;  // to be computed: the next batch and the running one
  Tokens kv_free = 0;         // KV space of the instance not reserved
};

struct PrefillRouterView {
  Seconds now = 0;
  RequestView request;
  std::span<const PrefillInstanceView> instances;  // at least one
};

class PrefillRouter {
 public:
  virtual ~PrefillRouter() = default;
  /// Called when a request is sent. Returns an index into view.instances.
  virtual std::int32_t route(const PrefillRouterView& view) = 0;
};

// ------------------------------------------------------- prefill batching: who joins the next
// batch?

struct PrefillBatcherView {
  Seconds now = 0;
  std::int32_t instance = 0;
  std::span<const RequestView> waiting;  // in order of arrival at the instance, not empty
  Tokens budget = 0;           // of a batch: max_num_batched_tokens * NPUs of the instance
  Tokens budget_left = 0;      // not yet taken in the batch being formed; > 0
  std::int64_t sequences = 0;  // already in it
  Tokens kv_free = 0;
};

class PrefillBatcher {
 public:
  virtual ~PrefillBatcher() = default;
  /// Returns the index in view.waiting of the request to take next, or nullopt to leave the batch
  /// as it is until something changes. A request that turns out not to fit stays in the queue and
  /// closes the batch (the context cache is looked up when a request is taken, not before).
  virtual std::optional<std::size_t> pick(const PrefillBatcherView& view) = 0;
};

// ------------------------------------------------------------ decode admission: who gets a slot
// next?

struct DecodeAdmissionView {
  Seconds now = 0;
  std::span<const RequestView> waiting;  // prefilled, in order of prefill end; not empty
  std::int64_t free_slots = 0;           // over all ranks
  std::int64_t slots = 0;                // over all ranks
  Tokens kv_free = 0;                    // over all ranks
  Tokens kv_capacity_per_rank = 0;
};

struct Admission {
  std::size_t index = 0;  // in view.waiting
  Tokens headroom = 0;    // KV space a rank must have beside the context (an empty rank always may)
};

class DecodeAdmission {
 public:
  virtual ~DecodeAdmission() = default;
  /// Returns whom to admit next, or nullopt to wait until something changes. When no rank takes the
  /// request it keeps its place and is asked about again after the next change.
  virtual std::optional<Admission> admit(const DecodeAdmissionView& view) = 0;
};

// --------------------------------------------------------------- decode routing: which instance,
// rank?

/// The spans have one element a rank (die), instance after instance.
struct DecodeRouterView {
  Seconds now = 0;
  RequestView request;
  Tokens headroom = 0;
  std::span<const std::int32_t> sequences;  // running, or being pulled
  std::span<const Tokens> kv_tokens;        // KV space reserved
  std::int32_t slots_per_rank = 0;
  Tokens kv_capacity_per_rank = 0;
  std::int32_t ranks_per_instance = 0;

  /// Whether the request may go to `rank` now.
  bool fits(std::size_t rank) const {
    if (sequences[rank] >= slots_per_rank) return false;
    const Tokens slack = sequences[rank] == 0 ? 0 : headroom;
    return kv_tokens[rank] + request.context_tokens + 1 + slack <= kv_capacity_per_rank;
  }
};

class DecodeRouter {
 public:
  virtual ~DecodeRouter() = default;
  /// Returns a rank (index into the spans) for which view.fits() holds, or nullopt to wait.
  virtual std::optional<std::size_t> route(const DecodeRouterView& view) = 0;
};

// --------------------------------------------------------------------------------------- the
// registry

enum class PolicyKind { kPrefillRouting, kPrefillBatching, kDecodeAdmission, kDecodeRouting };
/// The scenario key below /policies: "prefill_routing", "prefill_batching", ...
const char* to_string(PolicyKind kind);

/// What a factory may use to construct a policy.
struct PolicyContext {
  std::uint64_t seed = 1;  // of the run; name your own RandomStream from it
};

template <class Policy>
using PolicyFactory = std::function<std::unique_ptr<Policy>(const PolicyContext&)>;

struct PolicyInfo {
  PolicyKind kind;
  std::string name;
  std::string description;  // one line
};

/// Names -> factories. A value: code outside the tree adds its own policies to a copy of
/// builtin_policies() before a scenario is loaded. Adding a name twice throws
/// std::invalid_argument.
class PolicyRegistry {
 public:
  void register_policy(const std::string& name, const std::string& description,
                       PolicyFactory<PrefillRouter> factory);
  void register_policy(const std::string& name, const std::string& description,
                       PolicyFactory<PrefillBatcher> factory);
  void register_policy(const std::string& name, const std::string& description,
                       PolicyFactory<DecodeAdmission> factory);
  void register_policy(const std::string& name, const std::string& description,
                       PolicyFactory<DecodeRouter> factory);

  /// Throws ConfigError at /policies/<kind> naming the known ones when `name` is not registered.
  void check(PolicyKind kind, const std::string& name) const;

  // Throw ConfigError as check() does.
  std::unique_ptr<PrefillRouter> make_prefill_router(const std::string& name,
                                                     const PolicyContext& context) const;
  std::unique_ptr<PrefillBatcher> make_prefill_batcher(const std::string& name,
                                                       const PolicyContext& context) const;
  std::unique_ptr<DecodeAdmission> make_decode_admission(const std::string& name,
                                                         const PolicyContext& context) const;
  std::unique_ptr<DecodeRouter> make_decode_router(const std::string& name,
                                                   const PolicyContext& context) const;

  /// All of them, by kind and then in order of registration.
  std::vector<PolicyInfo> list() const;

 private:
  template <class Policy>
  struct Entry {
    std::string name, description;
    PolicyFactory<Policy> factory;
  };
  template <class Policy>
  using Entries = std::vector<Entry<Policy>>;

  Entries<PrefillRouter> prefill_routers_;
  Entries<PrefillBatcher> prefill_batchers_;
  Entries<DecodeAdmission> decode_admissions_;
  Entries<DecodeRouter> decode_routers_;
};

/// The policies that come with the simulator.
PolicyRegistry builtin_policies();

/// One of each kind, as a Cluster needs them.
struct Policies {
  std::unique_ptr<PrefillRouter> prefill_router;
  std::unique_ptr<PrefillBatcher> prefill_batcher;
  std::unique_ptr<DecodeAdmission> decode_admission;
  std::unique_ptr<DecodeRouter> decode_router;
};

}  // namespace cmsim::serve
