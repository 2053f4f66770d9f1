// The one place that calls policies, so that none of them can break a run unnamed. For serve/ and
// for what names policies in cli/.
//
// Whatever a policy throws, and whatever it decides outside the domain of its decision, becomes a
// SimulationError of one line: slot, name, what happened, simulated time, the view in short.
#pragma once

#include <exception>
#include <string>

#include "cmsim/serve/policy.hpp"
#include "cmsim/serve/policy_call.hpp"

namespace cmsim::serve {

/// `the policy decode_admission "mine"`
std::string title(PolicyKind kind, const std::string& name);
template <class Policy>
std::string title(const NamedPolicy<Policy>& policy) {
  return title(Policy::kKind, policy.name);
}
/// What the exception being handled says, as one line: `threw "..."`.
std::string what_was_thrown();
/// Throws SimulationError: title, `what`, "at 12.3 s", (shown).
[[noreturn]] void fail(const std::string& title, const std::string& what, Seconds now,
                       const std::string& shown);

// A view in short.
std::string in_short(const PrefillRouterView& view);
std::string in_short(const PrefillBatcherView& view);
std::string in_short(const DecodeAdmissionView& view);
std::string in_short(const DecodeRouterView& view);

inline auto ask(PrefillRouter& policy, const PrefillRouterView& view) { return policy.route(view); }
inline auto ask(PrefillBatcher& policy, const PrefillBatcherView& view) {
  return policy.pick(view);
}
inline auto ask(DecodeAdmission& policy, const DecodeAdmissionView& view) {
  return policy.admit(view);
}
inline auto ask(DecodeRouter& policy, const DecodeRouterView& view) { return policy.route(view); }

/// The decision was outside its domain: throws SimulationError saying `what`.
template <class Policy>
[[noreturn]] void refuse(const NamedPolicy<Policy>& policy, const typename Policy::View& view,
                         const std::string& what) {
  fail(title(policy), what, view.now, in_short(view));
}

/// Asks the policy for its decision on the view. Throws SimulationError when the policy throws.
template <class Policy>
auto call_policy(const NamedPolicy<Policy>& policy, PolicyCall* call,
                 const typename Policy::View& view) {
  const PolicyCall::Scope scope(
      call, {PolicyCall::Stage::kDeciding, Policy::kKind, policy.name.c_str(), view.now});
  try {
    return ask(*policy, view);
  } catch (...) {
    refuse(policy, view, what_was_thrown());
  }
}

/// Destroys the policies; a destructor that crashes or hangs is named as a decision is.
void destroy(Policies& policies);

}  // namespace cmsim::serve
