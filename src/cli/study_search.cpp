#include "study_search.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cmsim/base/files.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/study/capacity.hpp"
#include "study_report.hpp"
#include "text_table.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;

std::vector<study::Knob> knobs_of(StudyEngine& engine, const study::Study& study) {
  const auto points = study::expand(study);
  const std::size_t seeds = std::max<std::size_t>(1, study.seeds.size());
  std::vector<study::Knob> knobs;
  for (std::size_t i = 0; i < points.size(); i += seeds) {
    knobs.push_back(study::find_knob(
        engine.files().get(study.file).document(run::settings_of(points[i].point.sets))));
  }
  return knobs;
}

std::string load_text(const study::Knob& knob, const std::optional<double>& load) {
  return load ? knob.text(*load) : "-";
}

/// The metric over the seeds at the load that holds.
std::string figure_at(const study::Capacity& capacity, const study::Metric& metric) {
  std::vector<double> numbers;
  for (const study::Outcome& outcome : capacity.at_holds) {
    if (!outcome.done()) continue;
    const auto value = study::value_of(nlohmann::json::parse(outcome.result), metric);
    if (const auto* number = std::get_if<double>(&value)) numbers.push_back(*number);
  }
  if (numbers.empty()) return "-";
  const study::Estimate estimate = study::estimate(numbers);
  return with_interval(estimate.mean, estimate.half.value_or(0));
}

std::string capacities_text(const study::Study& study,
                            const std::vector<study::Capacity>& capacities,
                            const CapacityRequest& request, Paint paint) {
  const auto cells = study::cells_of(study);
  std::string text = fmt::format("{}: the largest load at which {} in {:g} % of {} seed{}\n\n",
                                 study.file.string(), fmt::join(request.requirements, " and "),
                                 request.share * 100, std::max<std::size_t>(1, study.seeds.size()),
                                 study.seeds.size() > 1 ? "s" : "");
  TextTable table{std::max<std::size_t>(1, study.axes().size()), {{}}};
  for (const study::Axis& axis : study.axes()) table.rows[0].push_back(axis.pointer);
  if (study.axes().empty()) table.rows[0].emplace_back("load");
  table.rows[0].insert(table.rows[0].end(), {"holds at", "fails at"});
  for (const study::Metric& metric : study.metrics) {
    if (metric.better != study::Better::kUnknown) table.rows[0].push_back(title_of(metric));
  }
  for (std::size_t cell = 0; cell < capacities.size(); ++cell) {
    const study::Capacity& capacity = capacities[cell];
    std::vector<std::string> row = cells[cell].values;
    if (row.empty()) row.push_back(capacity.knob.pointer);
    row.push_back(load_text(capacity.knob, capacity.bracket.holds));
    row.push_back(load_text(capacity.knob, capacity.bracket.fails));
    for (const study::Metric& metric : study.metrics) {
      if (metric.better != study::Better::kUnknown) row.push_back(figure_at(capacity, metric));
    }
    table.rows.push_back(std::move(row));
  }
  text += table.text(paint);
  for (const study::Capacity& capacity : capacities) {
    if (!capacity.bracket.holds && !capacity.error.empty()) text += capacity.error + "\n";
  }
  return text +
         fmt::format(
             "The load is {}, figures are at the load that holds.\nThe true limit lies between "
             "the two loads if more load never helps.\n",
             capacities.empty() ? "" : capacities.front().knob.pointer);
}

std::string capacities_csv(const study::Study& study,
                           const std::vector<study::Capacity>& capacities) {
  const auto cells = study::cells_of(study);
  std::string csv;
  for (const study::Axis& axis : study.axes())
    csv += study::csv_cell("params_" + axis.pointer) + ",";
  csv += "load,holds_at,fails_at\n";
  for (std::size_t cell = 0; cell < capacities.size(); ++cell) {
    for (const std::string& value : cells[cell].values) csv += study::csv_cell(value) + ",";
    const auto& [knob, bracket, outcomes, error] = capacities[cell];
    csv += fmt::format("{},{},{}\n", knob.pointer,
                       bracket.holds ? fmt::format("{:.4g}", *bracket.holds) : "",
                       bracket.fails ? fmt::format("{:.4g}", *bracket.fails) : "");
  }
  return csv;
}

std::string capacities_json(const study::Study& study,
                            const std::vector<study::Capacity>& capacities) {
  using Json = nlohmann::ordered_json;
  const auto cells = study::cells_of(study);
  const auto axes = study.axes();
  const auto optional = [](const std::optional<double>& load) {
    return load ? Json(*load) : Json(nullptr);
  };
  Json json = Json::array();
  for (std::size_t cell = 0; cell < capacities.size(); ++cell) {
    Json params = Json::object();
    for (std::size_t axis = 0; axis < axes.size(); ++axis) {
      params[axes[axis].pointer] = cells[cell].values[axis];
    }
    json.push_back({{"params", params},
                    {"load", capacities[cell].knob.pointer},
                    {"holds_at", optional(capacities[cell].bracket.holds)},
                    {"fails_at", optional(capacities[cell].bracket.fails)}});
  }
  return json_text(std::move(json)) + "\n";
}

/// The assignments of one number, down and up, and how much they change a metric.
struct Leaf {
  std::string pointer;
  std::optional<study::Difference> down, up;
  double largest = 0;
};

std::vector<Leaf> leaves_of(const study::Table& table,
                            const std::vector<study::CellChange>& changes, std::size_t metric) {
  std::vector<Leaf> leaves;
  for (const study::CellChange& change : changes) {
    const std::string& assignment = table.cells[change.cell].values.back();
    const std::string pointer = assignment.substr(0, assignment.find('='));
    if (leaves.empty() || leaves.back().pointer != pointer) {
      leaves.push_back({pointer, change.metrics[metric], std::nullopt});
    } else {
      leaves.back().up = change.metrics[metric];
    }
    const auto& difference = change.metrics[metric];
    if (!difference) continue;
    leaves.back().largest = std::max(leaves.back().largest, std::fabs(difference->relative));
  }
  std::stable_sort(leaves.begin(), leaves.end(),
                   [](const Leaf& a, const Leaf& b) { return a.largest > b.largest; });
  return leaves;
}

std::string tornado_of(const study::Table& table, const std::vector<study::CellChange>& changes,
                       std::size_t metric, Paint paint) {
  constexpr std::size_t kMostRows = 20, kWidestPointer = 44;
  constexpr double kBar = 14;
  const auto leaves = leaves_of(table, changes, metric);
  if (leaves.empty() || leaves.front().largest == 0) return "";
  TextTable text{1, {{title_of(table.study.metrics[metric]), "10 % less", "10 % more", ""}}};
  std::size_t still = 0;
  for (const Leaf& leaf : leaves) {
    if (leaf.largest < 5e-5 || text.rows.size() > kMostRows) {
      ++still;
      continue;
    }
    const auto shown = [](const std::optional<study::Difference>& difference) {
      return difference ? change_text(*difference) : std::string("refused");
    };
    const auto length =
        static_cast<std::size_t>(kBar * leaf.largest / leaves.front().largest + 0.5);
    text.rows.push_back({elided(leaf.pointer, kWidestPointer), shown(leaf.down), shown(leaf.up),
                         std::string(std::max<std::size_t>(1, length), '#') +
                             std::string(static_cast<std::size_t>(kBar) -
                                             std::min(static_cast<std::size_t>(kBar), length),
                                         ' ')});
  }
  std::string all = "\n" + text.text(paint);
  if (still > 0) all += fmt::format("{} more change it less, or by under 0.005 %\n", still);
  return all;
}

}  // namespace

int search_capacity(StudyEngine& engine, const study::Study& study, const CapacityRequest& request,
                    const fs::path& directory) {
  study::CapacityTask task;
  task.share = request.share;
  for (const std::string& text : request.requirements) {
    task.requirements.push_back(study::parse_requirement(text, study.command));
  }
  if (study.command != "run") throw ConfigError("--capacity: only a run has a load");
  const auto capacities = study::find_capacities(study, knobs_of(engine, study), task,
                                                 [&](std::vector<study::StudyPoint> points) {
                                                   engine.address(points);
                                                   return engine.run(points, directory);
                                                 });
  engine.check_interrupted(directory);
  const std::string csv = capacities_csv(study, capacities);
  write_unit(directory, std::array{NamedContent{"capacity.csv", csv}});
  if (!engine.options().quiet) say("wrote {}\n", (directory / "capacity.csv").string());
  if (request.json) {
    print_text(capacities_json(study, capacities));
  } else if (!engine.options().quiet) {
    print_text(capacities_text(study, capacities, request, paint_for(Stream::kOut)));
  }
  const bool all = std::all_of(capacities.begin(), capacities.end(), [](const auto& capacity) {
    return capacity.bracket.holds && capacity.bracket.fails;
  });
  return all ? kOk : kSomeFailed;
}

std::string tornado_report(const study::Table& table, Paint paint) {
  const study::Changes all = study::all_changes(table);
  std::string text = fmt::format(
      "{}: every number changed alone by 10 %, {} seed{}\n", table.study.file.string(),
      std::max<std::size_t>(1, table.study.seeds.size()), table.study.seeds.size() > 1 ? "s" : "");
  for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
    text += tornado_of(table, all.dimensions.back(), m, paint);
  }
  if (all.tested == 0) return text;
  return text + fmt::format(
                    "n.s.: no significant difference at 5 % after Holm's adjustment over {} "
                    "differences.\n",
                    all.tested);
}

}  // namespace cmsim::cli
