#include "cmsim/serve/policy_guard.hpp"

#include <fmt/format.h>

#include <array>

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

template <class Slot>
void destroy_one(NamedPolicy<Slot>& policy, PolicyCall* call) {
  const PolicyCall::Scope scope(call,
                                {PolicyCall::Stage::kDestroying, Slot::kName, policy.name.c_str()});
  policy.policy.reset();
}

}  // namespace

std::string title(std::string_view slot, const std::string& name) {
  return fmt::format("the policy {} \"{}\"", slot, name);
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

std::string SupernodeRouting::in_short(const View& view) {
  return fmt::format("request {}", view.request.id);
}
std::string PrefillRouting::in_short(const View& view) {
  return fmt::format("request {}", view.request.id);
}
std::string PrefillAdmission::in_short(const View& view) {
  return fmt::format("request {} for instance {}", view.request.id, view.instance);
}
std::string PrefillBatching::in_short(const View& view) {
  return fmt::format("instance {}, {}", view.instance, waiting(view.waiting.size()));
}
std::string CachePrefetch::in_short(const View& view) {
  return fmt::format("request {}, {} tokens on SSD", view.request.id, view.ssd_tokens);
}
std::string CachePlacement::in_short(const View& view) {
  constexpr std::array<const char*, 3> kOccasions{"to be stored", "found on SSD",
                                                  "evicted from DRAM"};
  return fmt::format("a block {}, used {} times",
                     kOccasions.at(static_cast<std::size_t>(view.occasion)), view.uses);
}
std::string CacheEviction::in_short(const View& view) {
  return fmt::format("use {} of the cache, of a block used {} times", view.use, view.uses);
}
std::string DecodeAdmission::in_short(const View& view) {
  return fmt::format("{}, {} slots free", waiting(view.waiting.size()), view.free_slots);
}
std::string DecodeRouting::in_short(const View& view) {
  return fmt::format("request {}", view.request.id);
}

std::string ProportionChoice::in_short(const View& view) {
  return fmt::format("{} blocks prefill, {} decode, {} change", view.prefill.blocks,
                     view.decode.blocks, view.changing);
}
std::string Preemption::in_short(const View& view) {
  return fmt::format("rank {} of instance {}, {} running, {} tokens too many", view.rank,
                     view.instance, view.running.size(), view.excess);
}

std::string PreemptedKv::in_short(const View& view) {
  return fmt::format("request {}, {} tokens", view.request.id, view.request.context_tokens);
}

std::string PipelinePlan::in_short(const View& view) {
  return fmt::format("instance {}, {} plans", view.instance, view.plans.size());
}

std::string ExpertPlacement::in_short(const View& view) {
  return fmt::format("instance {}, experts placed {:.4g} s ago", view.instance, view.age);
}

void destroy(Policies& policies) {
  std::apply([&](auto&... policy) { (destroy_one(policy, policies.call), ...); }, policies.all);
}

}  // namespace cmsim::serve
