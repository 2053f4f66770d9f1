// The one place that calls policies, so that none of them can break a run unnamed. For serve/ and
// for what names policies in cli/.
//
// Whatever a policy throws, and whatever it decides outside the domain of its decision, becomes a
// SimulationError of one line: slot, name, what happened, simulated time, the view in short.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "cmsim/serve/policy.hpp"
#include "cmsim/serve/policy_call.hpp"

namespace cmsim::serve {

/// `the policy decode_admission "mine"`
std::string title(std::string_view slot, const std::string& name);
template <class Slot>
std::string title(const NamedPolicy<Slot>& policy) {
  return title(Slot::kName, policy.name);
}
/// What the exception being handled says, as one line: `threw "..."`.
std::string what_was_thrown();
/// Throws SimulationError: title, `what`, "at 12.3 s", (shown).
[[noreturn]] void fail(const std::string& title, const std::string& what, Seconds now,
                       const std::string& shown);

/// The decision was outside its domain: throws SimulationError saying `what`.
template <class Slot>
[[noreturn]] void refuse(const Policies& policies, const typename Slot::View& view,
                         const std::string& what) {
  fail(title(policies.get<Slot>()), what, view.now, Slot::in_short(view));
}

/// Asks the policy of the slot for its decision on the view. Throws SimulationError when it throws.
template <class Slot>
typename Slot::Decision call_policy(const Policies& policies, const typename Slot::View& view) {
  const NamedPolicy<Slot>& policy = policies.get<Slot>();
  const PolicyCall::Scope scope(
      policies.call, {PolicyCall::Stage::kDeciding, Slot::kName, policy.name.c_str(), view.now});
  try {
    return policy->decide(view);
  } catch (...) {
    refuse<Slot>(policies, view, what_was_thrown());
  }
}

/// Destroys the policies, each under its name.
void destroy(Policies& policies);

}  // namespace cmsim::serve
