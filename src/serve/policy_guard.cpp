#include "cmsim/serve/policy_guard.hpp"

#include <fmt/format.h>

#include "cmsim/base/error.hpp"
#include "cmsim/base/utf8.hpp"

namespace cmsim::serve {
namespace {

/// What is very long is cut.
std::string one_line(std::string_view text) {
  constexpr std::size_t kLongest = 300;
  return printable(text.substr(0, kLongest)) + (text.size() > kLongest ? "..." : "");
}

std::string waiting(std::size_t number) { return fmt::format("{} waiting", number); }

template <class Policy>
void destroy(NamedPolicy<Policy>& policy, PolicyCall* call) {
  const PolicyCall::Scope scope(
      call, {PolicyCall::Stage::kDestroying, Policy::kKind, policy.name.c_str()});
  policy.policy.reset();
}

}  // namespace

std::string title(PolicyKind kind, const std::string& name) {
  return fmt::format("the policy {} \"{}\"", to_string(kind), name);
}

std::string what_was_thrown() {
  try {
    throw;
  } catch (const std::exception& error) {
    const char* what = error.what();
    return fmt::format("threw \"{}\"", one_line(what != nullptr ? what : ""));
  } catch (...) {
    return "threw something that is not a std::exception";
  }
}

void fail(const std::string& title, const std::string& what, Seconds now,
          const std::string& shown) {
  throw SimulationError(fmt::format("{} {} at {:.9g} s ({})", title, what, now, shown));
}

std::string in_short(const PrefillRouterView& view) {
  return fmt::format("request {}", view.request.id);
}
std::string in_short(const PrefillBatcherView& view) {
  return fmt::format("instance {}, {}", view.instance, waiting(view.waiting.size()));
}
std::string in_short(const DecodeAdmissionView& view) {
  return fmt::format("{}, {} slots free", waiting(view.waiting.size()), view.free_slots);
}
std::string in_short(const DecodeRouterView& view) {
  return fmt::format("request {}", view.request.id);
}

void destroy(Policies& policies) {
  destroy(policies.prefill_router, policies.call);
  destroy(policies.prefill_batcher, policies.call);
  destroy(policies.decode_admission, policies.call);
  destroy(policies.decode_router, policies.call);
}

}  // namespace cmsim::serve
