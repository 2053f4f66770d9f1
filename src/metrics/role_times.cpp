#include "role_times.hpp"

#include <map>
#include <utility>

#include "cmsim/metrics/figures.hpp"

namespace cmsim::metrics {

using serve::InstanceState;
using serve::RoleEvent;

ProportionResult proportion_of(std::span<const RoleEvent> events, Seconds from, Seconds to) {
  ProportionResult result;
  if (to <= from) return result;
  const auto add = [&](const RoleEvent& event, Seconds until) {
    const double share = overlap(event.at, until, from, to) / (to - from);
    const double npus = event.npus * share;
    switch (event.state) {
      case InstanceState::kLoading:
        result.loading_npus += npus;
        return;
      case InstanceState::kDraining:
        result.draining_npus += npus;
        break;
      case InstanceState::kServing:
        break;
    }
    (event.decodes ? result.decode_npus : result.prefill_npus) += npus;
  };
  std::map<std::pair<std::int32_t, std::int32_t>, RoleEvent> last;  // of each block
  for (const RoleEvent& event : events) {
    const auto [found, is_new] = last.try_emplace({event.supernode, event.block}, event);
    if (is_new) continue;
    add(found->second, event.at);
    const bool loaded = found->second.state == InstanceState::kLoading;
    if (loaded && event.at > from && event.at <= to) ++result.changes;
    found->second = event;
  }
  for (const auto& [block, event] : last) add(event, to);
  return result;
}

}  // namespace cmsim::metrics
