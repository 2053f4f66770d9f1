#include <fmt/format.h>

#include <algorithm>

#include "cmsim/check/run_cases.hpp"
#include "cmsim/study/statistics.hpp"

namespace cmsim::check {
namespace {

using nlohmann::json;

/// Each text or truth that occurs, with how often when there are several.
json occurring(const std::vector<json>& values) {
  if (std::ranges::all_of(values, [&](const json& value) { return value == values.front(); })) {
    return values.front();
  }
  std::map<std::string, int> counts;
  for (const json& value : values)
    ++counts[value.is_string() ? value.get<std::string>() : value.dump()];
  std::string text;
  for (const auto& [value, count] : counts) {
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", value, count);
  }
  return text;
}

void add_metric(Figures& figures, const std::string& name, const std::vector<Figures>& seeds) {
  std::vector<json> values;
  std::vector<double> numbers;
  for (const Figures& seed : seeds) {
    const auto found = seed.metrics.find(name);
    if (found == seed.metrics.end()) return;
    values.push_back(found->second);
    if (found->second.is_number()) numbers.push_back(found->second.get<double>());
  }
  if (numbers.size() < values.size()) {
    figures.metrics[name] = occurring(values);
    return;
  }
  const study::Estimate estimate = study::estimate(numbers);
  figures.metrics[name] = estimate.mean;
  if (estimate.half) {
    figures.intervals[name] = {estimate.mean - *estimate.half, estimate.mean + *estimate.half};
  }
}

const double* part_of(const Figures& figures, const std::string& group, const std::string& name) {
  const auto found = std::ranges::find(figures.groups, group, &PartGroup::name);
  if (found == figures.groups.end()) return nullptr;
  for (const auto& [part, value] : found->parts) {
    if (part == name) return &value;
  }
  return nullptr;
}

PartGroup mean_group(const PartGroup& first, const std::vector<Figures>& seeds) {
  PartGroup group{first.name, {}};
  for (const auto& [name, unused] : first.parts) {
    std::vector<double> values;
    for (const Figures& seed : seeds) {
      if (const double* value = part_of(seed, first.name, name)) values.push_back(*value);
    }
    if (values.size() == seeds.size()) group.parts.emplace_back(name, study::estimate(values).mean);
  }
  return group;
}

}  // namespace

Figures mean_of(const std::vector<Figures>& seeds) {
  if (seeds.size() == 1) return seeds.front();
  Figures figures{seeds.front().kind, seeds.front().settings, {}, {}, {}};
  for (const auto& [name, unused] : seeds.front().metrics) add_metric(figures, name, seeds);
  for (const PartGroup& group : seeds.front().groups) {
    figures.groups.push_back(mean_group(group, seeds));
  }
  std::erase_if(figures.groups, [](const PartGroup& group) { return group.parts.empty(); });
  return figures;
}

}  // namespace cmsim::check
