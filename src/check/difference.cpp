#include "cmsim/check/difference.hpp"

#include <algorithm>
#include <cmath>

namespace cmsim::check {
namespace {

using nlohmann::json;

std::optional<double> number(const json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

template <class Pairs>
auto find(const Pairs& pairs, const std::string& name) {
  return std::ranges::find_if(pairs, [&](const auto& pair) { return pair.first == name; });
}

std::vector<SettingMove> settings_between(const Figures& old, const Figures& now) {
  std::vector<SettingMove> moves;
  for (const auto& [name, value] : old.settings) {
    const auto other = find(now.settings, name);
    const std::string found = other == now.settings.end() ? "" : other->second;
    if (found != value) moves.push_back({name, value, found});
  }
  for (const auto& [name, value] : now.settings) {
    if (find(old.settings, name) == old.settings.end()) moves.push_back({name, "", value});
  }
  return moves;
}

PartGroup group_or_empty(const Figures& figures, const std::string& name) {
  const auto found = std::ranges::find(figures.groups, name, &PartGroup::name);
  return found == figures.groups.end() ? PartGroup{name, {}} : *found;
}

double sum(const PartGroup& group) {
  double total = 0;
  for (const auto& [name, value] : group.parts) total += value;
  return total;
}

GroupMove move_between(const PartGroup& old, const PartGroup& now) {
  GroupMove move{old.name, sum(old), sum(now), {}};
  for (const auto& [name, value] : old.parts) {
    const auto other = find(now.parts, name);
    if (other == now.parts.end()) {
      move.parts.push_back({name, value, std::nullopt, 0});
    } else if (!same(value, other->second)) {
      move.parts.push_back({name, value, other->second, 0});
    }
  }
  for (const auto& [name, value] : now.parts) {
    if (find(old.parts, name) == old.parts.end()) {
      move.parts.push_back({name, std::nullopt, value, 0});
    }
  }
  double total = 0;
  for (PartMove& part : move.parts) {
    part.share = part.moved();
    if (old.name == kLoad && part.old && *part.old != 0) part.share /= std::fabs(*part.old);
    total += std::fabs(part.share);
  }
  for (PartMove& part : move.parts) part.share /= total > 0 ? total : 1;
  std::ranges::stable_sort(move.parts, std::greater(),
                           [](const PartMove& part) { return std::fabs(part.share); });
  return move;
}

std::vector<GroupMove> groups_between(const Figures& old, const Figures& now) {
  std::vector<GroupMove> moves;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(moves, name, &GroupMove::name) != moves.end()) return;
    moves.push_back(move_between(group_or_empty(old, name), group_or_empty(now, name)));
  };
  for (const PartGroup& group : now.groups) add(group.name);
  for (const PartGroup& group : old.groups) add(group.name);
  std::erase_if(moves, [](const GroupMove& move) { return move.parts.empty(); });
  return moves;
}

}  // namespace

std::optional<double> MetricMove::absolute() const {
  const auto before = number(old), after = number(now);
  return before && after ? std::optional(*after - *before) : std::nullopt;
}

std::optional<double> MetricMove::relative() const {
  const auto before = number(old);
  const auto moved = absolute();
  if (!moved || *before == 0) return std::nullopt;
  return *moved / std::fabs(*before);
}

bool MetricMove::worse() const {
  const double moved = absolute().value_or(0);
  return (metric.better == Better::kHigher && moved < 0) ||
         (metric.better == Better::kLower && moved > 0);
}

const GroupMove* Difference::group(std::string_view name) const {
  const auto found = std::ranges::find(groups, name, &GroupMove::name);
  return found == groups.end() ? nullptr : &*found;
}

Difference difference_of(const Figures& old, const Figures& now, std::span<const Metric> metrics) {
  Difference difference;
  difference.kind = now.kind;
  difference.settings = settings_between(old, now);
  for (const Metric& metric : metrics) {
    const auto before = old.metrics.find(metric.name), after = now.metrics.find(metric.name);
    difference.metrics.push_back({metric, before == old.metrics.end() ? json() : before->second,
                                  after == now.metrics.end() ? json() : after->second});
  }
  difference.groups = groups_between(old, now);
  return difference;
}

nlohmann::ordered_json to_json(const Difference& difference) {
  using Json = nlohmann::ordered_json;
  const auto optional = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  Json out{{"kind", to_string(difference.kind)},
           {"settings", Json::array()},
           {"metrics", Json::array()},
           {"groups", Json::array()}};
  for (const SettingMove& move : difference.settings) {
    out["settings"].push_back({{"name", move.name}, {"old", move.old}, {"new", move.now}});
  }
  for (const MetricMove& move : difference.metrics) {
    out["metrics"].push_back({{"name", move.metric.name},
                              {"pointer", move.metric.pointer},
                              {"unit", move.metric.unit},
                              {"better", to_string(move.metric.better)},
                              {"old", move.old},
                              {"new", move.now},
                              {"absolute", optional(move.absolute())},
                              {"relative", optional(move.relative())}});
  }
  for (const GroupMove& group : difference.groups) {
    Json parts = Json::array();
    for (const PartMove& part : group.parts) {
      parts.push_back({{"name", part.name},
                       {"old", optional(part.old)},
                       {"new", optional(part.now)},
                       {"moved", part.moved()},
                       {"share", part.share}});
    }
    out["groups"].push_back({{"name", group.name}, {"parts", std::move(parts)}});
  }
  return out;
}

}  // namespace cmsim::check
