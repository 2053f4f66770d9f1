#include "cmsim/study/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cmsim/base/error.hpp"

namespace cmsim::study {
namespace {

std::size_t length_of(const std::vector<Axis>& dimension) {
  return dimension.empty() ? 0 : dimension.front().values.size();
}

}  // namespace

std::vector<Axis> Study::axes() const {
  std::vector<Axis> all;
  for (const auto& dimension : dimensions)
    all.insert(all.end(), dimension.begin(), dimension.end());
  return all;
}

std::vector<Cell> cells_of(const Study& study) {
  std::vector<Cell> cells{{}};
  for (const std::vector<Axis>& dimension : study.dimensions) {
    std::vector<Cell> next;
    for (const Cell& cell : cells) {
      for (std::size_t at = 0; at < length_of(dimension); ++at) {
        Cell more = cell;
        more.at.push_back(at);
        for (const Axis& axis : dimension) more.values.push_back(axis.values[at]);
        next.push_back(std::move(more));
      }
    }
    cells = std::move(next);
  }
  return cells;
}

std::vector<StudyPoint> expand(const Study& study) {
  const std::vector<Axis> axes = study.axes();
  std::vector<std::optional<std::uint64_t>> seeds(study.seeds.begin(), study.seeds.end());
  if (seeds.empty()) seeds.emplace_back();
  std::size_t count = seeds.size();
  for (const auto& dimension : study.dimensions) {
    count *= std::max<std::size_t>(1, length_of(dimension));
    if (count <= kMostPoints) continue;
    throw ConfigError(fmt::format("the study has more than {} points", kMostPoints));
  }
  const std::vector<Cell> cells = cells_of(study);
  std::vector<StudyPoint> points;
  for (std::size_t cell = 0; cell < cells.size(); ++cell) {
    Point point{study.command, study.file, study.sets, study.options, {}};
    for (std::size_t axis = 0; axis < axes.size(); ++axis) {
      const std::string& place = axes[axis].pointer;
      const std::string& value = cells[cell].values[axis];
      if (place.starts_with('/')) {
        point.sets.push_back(place + "=" + value);
      } else if (place != kAlternatives) {
        point.options.insert(point.options.end(), {place, value});
      } else if (!value.empty()) {
        point.sets.push_back(value);
      }
    }
    for (const auto& seed : seeds) {
      point.seed = seed;
      points.push_back({point, cell, {}});
    }
  }
  return points;
}

void check(const Study& study) {
  const std::vector<std::string> commands{"run", "step", "collective", "p2p"};
  if (std::find(commands.begin(), commands.end(), study.command) == commands.end()) {
    throw ConfigError(
        fmt::format("no study can be made of \"{}\", allowed are run, step, "
                    "collective and p2p",
                    study.command));
  }
  std::set<std::string> pointers;
  for (const std::vector<Axis>& dimension : study.dimensions) {
    for (const Axis& axis : dimension) {
      if (!pointers.insert(axis.pointer).second) {
        throw ConfigError(fmt::format("{} is varied twice", axis.pointer));
      }
      if (axis.values.size() == length_of(dimension)) continue;
      throw ConfigError(fmt::format(
          "{} has {} values and {} has {}: axes that advance together "
          "need as many each",
          dimension.front().pointer, length_of(dimension), axis.pointer, axis.values.size()));
    }
  }
  if (pointers.contains("/seed") || pointers.contains("--seed")) {
    throw ConfigError("the seed is varied as an axis; say it as seeds, e.g. --seeds 1..5");
  }
  check_metrics(shape_of(study.command), study.metrics, study.command);
  if (study.command == "p2p" && !study.seeds.empty()) {
    throw ConfigError("seeds: p2p draws nothing at random");
  }
}

}  // namespace cmsim::study
