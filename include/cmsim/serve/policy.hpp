// The four decisions of the serving system, each behind an interface of its own, and the registry
// that makes a policy from its name.
//
// A policy takes a view and returns a decision. It owns no clock, does no I/O, keeps state only in
// its own members, and sees only what a real scheduler could: no view has a request's output
// length. Units: tokens, simulated seconds. Invariant: the views are valid only during the call.
// What a policy throws, or a decision outside its domain, ends the run with a SimulationError that
// names the policy. A shared object offers policies through CMSIM_POLICY_PLUGIN (policy_abi.hpp).
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

enum class PolicyKind { kPrefillRouting, kPrefillBatching, kDecodeAdmission, kDecodeRouting };
/// The scenario key below /policies: "prefill_routing", "prefill_batching", ...
const char* to_string(PolicyKind kind);

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
  static constexpr PolicyKind kKind = PolicyKind::kPrefillRouting;
  using View = PrefillRouterView;

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
  static constexpr PolicyKind kKind = PolicyKind::kPrefillBatching;
  using View = PrefillBatcherView;

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
  // KV space a rank must have beside the context, >= 0; an empty rank needs none.
  Tokens headroom = 0;
};

class DecodeAdmission {
 public:
  static constexpr PolicyKind kKind = PolicyKind::kDecodeAdmission;
  using View = DecodeAdmissionView;

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
  std::span<const std::int32_t> slots;      // sequences it may have
  Tokens kv_capacity_per_rank = 0;
  std::int32_t ranks_per_instance = 0;

  /// Whether the request may go to `rank` now.
  bool fits(std::size_t rank) const {
    if (sequences[rank] >= slots[rank]) return false;
    const Tokens slack = sequences[rank] == 0 ? 0 : headroom;
    // Subtracted from the capacity: a headroom may be as large as its type.
    return slack <= kv_capacity_per_rank - kv_tokens[rank] - request.context_tokens - 1;
  }
  bool any_fits() const {
    for (std::size_t rank = 0; rank < sequences.size(); ++rank) {
      if (fits(rank)) return true;
    }
    return false;
  }
};

class DecodeRouter {
 public:
  static constexpr PolicyKind kKind = PolicyKind::kDecodeRouting;
  using View = DecodeRouterView;

  virtual ~DecodeRouter() = default;
  /// Returns a rank (index into the spans) for which view.fits() holds, or nullopt to wait.
  virtual std::optional<std::size_t> route(const DecodeRouterView& view) = 0;
};

// --------------------------------------------------------------------------------------- the
// registry

/// What a factory may use to construct a policy.
struct PolicyContext {
  std::uint64_t seed = 1;  // of the run; name your own RandomStream from it
};

template <class Policy>
using PolicyFactory = std::function<std::unique_ptr<Policy>(const PolicyContext&)>;

/// A policy and the name it was registered under: whatever goes wrong in it is told with its name.
template <class Policy>
struct NamedPolicy {
  std::string name;
  std::unique_ptr<Policy> policy;  // not null

  Policy* operator->() const { return policy.get(); }
  Policy& operator*() const { return *policy; }
};

struct PolicyInfo {
  PolicyKind kind;
  std::string name;
  std::string description;  // one line
};

/// Names -> factories. A value: code outside the tree adds its own policies to a copy of
/// builtin_policies() before a scenario is loaded. Adding a name twice, a name that is empty or not
/// printable ASCII without spaces, or no factory throws std::invalid_argument.
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

  // Throw ConfigError as check() does, or when the factory throws one; SimulationError that names
  // the policy when the factory throws anything else or returns null.
  NamedPolicy<PrefillRouter> make_prefill_router(const std::string& name,
                                                 const PolicyContext& context) const;
  NamedPolicy<PrefillBatcher> make_prefill_batcher(const std::string& name,
                                                   const PolicyContext& context) const;
  NamedPolicy<DecodeAdmission> make_decode_admission(const std::string& name,
                                                     const PolicyContext& context) const;
  NamedPolicy<DecodeRouter> make_decode_router(const std::string& name,
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

class PolicyCall;

/// One of each kind, as a Cluster needs them.
struct Policies {
  NamedPolicy<PrefillRouter> prefill_router;
  NamedPolicy<PrefillBatcher> prefill_batcher;
  NamedPolicy<DecodeAdmission> decode_admission;
  NamedPolicy<DecodeRouter> decode_router;
  PolicyCall* call = nullptr;  // told which one is being called; outlives the policies
};

}  // namespace cmsim::serve

#include "cmsim/serve/policy_abi.hpp"  // CMSIM_POLICY_PLUGIN, which stands on all of the above
