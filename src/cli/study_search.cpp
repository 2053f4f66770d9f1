#include "study_search.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "cmsim/base/files.hpp"
#include "cmsim/base/json_text.hpp"
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
  std::vector<study::Value> values;
  for (const study::Outcome& outcome : capacity.at_holds) {
    if (!outcome.done()) continue;
    values.push_back(study::value_of(nlohmann::json::parse(outcome.result), metric));
  }
  return cell_text(study::figure_of(values));
}

/// Columns that have something in some row, those that name a row too.
TextTable without_empty(TextTable table) {
  for (std::size_t c = table.rows.front().size(); c-- > table.names;) {
    const bool empty = std::all_of(table.rows.begin() + 1, table.rows.end(),
                                   [&](const auto& row) { return row[c] == "-"; });
    for (auto& row : table.rows) {
      if (empty) row.erase(row.begin() + static_cast<long>(c));
    }
  }
  return table;
}

/// A table of one row, its head beside it.
TextTable turned(const TextTable& table) {
  TextTable text{1, {{table.rows[0][0], table.rows[1][0]}}};
  for (std::size_t c = 1; c < table.rows[0].size(); ++c) {
    text.rows.push_back({table.rows[0][c], table.rows[1][c]});
  }
  return text;
}

/// What the loads of a search say of the true limit.
std::string limit_note(const study::Capacity& capacity) {
  const auto& [holds, fails] = capacity.bracket;
  if (holds && fails) return "The true limit lies between the two loads if more load never helps.";
  const char* level = capacity.level ? ", and the load no longer moves what is required" : "";
  if (holds)
    return fmt::format("Of the loads up to {} none fails{}.", capacity.knob.text(*holds), level);
  if (fails) {
    return fmt::format("Of the loads {} to {} none holds{}.",
                       *fails < capacity.knob.start ? "down" : "up", capacity.knob.text(*fails),
                       level);
  }
  return "No load was tried to its end.";
}

std::string capacities_text(const study::Study& study,
                            const std::vector<study::Capacity>& capacities,
                            const CapacityRequest& request, Paint paint) {
  const auto cells = study::cells_of(study);
  std::string text =
      wrapped(fmt::format("{}: the largest load at which {} in {:g} % of {} seed{}",
                          study.file.string(), fmt::join(request.texts, " and "),
                          request.task.share * 100, std::max<std::size_t>(1, study.seeds.size()),
                          study.seeds.size() > 1 ? "s" : ""),
              0) +
      "\n\n";
  TextTable table{std::max<std::size_t>(1, study.axes().size()), {{}}};
  for (const study::Axis& axis : study.axes()) table.rows[0].push_back(axis.pointer);
  if (study.axes().empty()) table.rows[0].emplace_back("load");
  table.rows[0].insert(table.rows[0].end(), {"holds at", "fails at"});
  for (const study::Metric& metric : study.metrics) table.rows[0].push_back(title_of(metric));
  for (std::size_t cell = 0; cell < capacities.size(); ++cell) {
    const study::Capacity& capacity = capacities[cell];
    std::vector<std::string> row = cells[cell].values;
    if (row.empty()) row.push_back(capacity.knob.pointer);
    row.push_back(load_text(capacity.knob, capacity.bracket.holds));
    row.push_back(load_text(capacity.knob, capacity.bracket.fails));
    for (const study::Metric& metric : study.metrics) row.push_back(figure_at(capacity, metric));
    table.rows.push_back(std::move(row));
  }
  table = without_empty(std::move(table));
  const bool one_row = table.rows.size() == 2 && !table.fits();
  text += (one_row ? turned(table) : table).text(paint);
  for (const study::Capacity& capacity : capacities) {
    if (!capacity.bracket.holds && !capacity.error.empty()) text += capacity.error + "\n";
  }
  text += fmt::format("The load is {}, figures are at the load that holds.\n",
                      capacities.empty() ? "" : capacities.front().knob.pointer);
  std::set<std::string> notes;
  for (const study::Capacity& capacity : capacities) notes.insert(limit_note(capacity));
  for (const std::string& note : notes) text += note + "\n";
  return text;
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
    const auto& [knob, bracket, outcomes, error, level] = capacities[cell];
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

/// One direction of a number: by how much it was changed, and what came of it.
struct Way {
  double step = 0;
  bool ran = false;
  std::optional<study::Difference> difference;
};

/// A number that was changed, and how much that changes a metric.
struct Leaf {
  std::string pointer;
  Way down, up;

  /// Nothing when no change of it has run.
  std::optional<double> largest() const {
    std::optional<double> most;
    for (const Way& way : {down, up}) {
      if (!way.ran) continue;
      const double moved = way.difference ? std::fabs(way.difference->relative) : 0;
      most = std::max(most.value_or(0), moved);
    }
    return most;
  }
};

std::vector<Leaf> leaves_of(const study::Table& table, const study::Sensitivity& sensitivity,
                            const std::vector<study::CellChange>& changes, std::size_t metric) {
  std::vector<Leaf> leaves;
  for (const study::CellChange& change : changes) {
    const std::string& assignment = table.cells[change.cell].values.back();
    const std::string pointer = assignment.substr(0, assignment.find('='));
    if (leaves.empty() || leaves.back().pointer != pointer) leaves.push_back({pointer, {}, {}});
    const double step = sensitivity.steps.at(assignment);
    Way& way = step < 0 ? leaves.back().down : leaves.back().up;
    way.step = step;
    way.ran = study::count_points(table, change.cell).done > 0;
    way.difference = change.metrics[metric];
  }
  std::stable_sort(leaves.begin(), leaves.end(), [](const Leaf& a, const Leaf& b) {
    return a.largest().value_or(-1) > b.largest().value_or(-1);
  });
  return leaves;
}

/// What a change does, with its size where that is not a tenth.
std::string way_text(const Way& way) {
  if (way.step == 0) return "-";
  const bool tenth = std::fabs(std::fabs(way.step) - study::kSensitivityStep) < 1e-9;
  const std::string text = !way.ran         ? "failed"
                           : way.difference ? change_text(*way.difference)
                                            : "-";
  return tenth ? text : fmt::format("{} [{:+.3g} %]", text, way.step * 100);
}

std::string tornado_of(const study::Table& table, const study::Sensitivity& sensitivity,
                       const std::vector<study::CellChange>& changes, std::size_t metric,
                       Paint paint) {
  constexpr std::size_t kMostRows = 20, kWidestPointer = 28;
  constexpr double kBar = 10, kLeast = 5e-5;
  const auto leaves = leaves_of(table, sensitivity, changes, metric);
  const std::string title = title_of(table.study.metrics[metric]);
  if (leaves.empty() || leaves.front().largest().value_or(0) == 0) {
    return fmt::format("\n{}: no change moves it\n", title);
  }
  const double largest = *leaves.front().largest();
  TextTable text{1, {{title, "10 % less", "10 % more", ""}}};
  std::size_t still = 0, failed = 0;
  for (const Leaf& leaf : leaves) {
    const auto moved = leaf.largest();
    if (!moved) {
      ++failed;
    } else if (*moved < kLeast || text.rows.size() > kMostRows) {
      ++still;
    } else {
      const auto length = std::max(1L, std::lround(kBar * *moved / largest));
      std::string bar(static_cast<std::size_t>(length), '#');
      bar.resize(static_cast<std::size_t>(kBar), ' ');
      text.rows.push_back(
          {elided(leaf.pointer, kWidestPointer), way_text(leaf.down), way_text(leaf.up), bar});
    }
  }
  std::string all = "\n" + text.text(paint);
  if (still > 0) {
    all += fmt::format("{} more change{} it less, or by under 0.005 %\n", still,
                       still == 1 ? "s" : "");
  }
  if (failed > 0) all += fmt::format("{} more failed both ways\n", failed);
  return all;
}

/// The changes from each cell in which the sensitivity changes nothing.
std::vector<std::vector<study::CellChange>> by_unchanged_cell(
    const std::vector<study::CellChange>& changes) {
  std::vector<std::vector<study::CellChange>> groups;
  for (const study::CellChange& change : changes) {
    if (groups.empty() || groups.back().front().against != change.against) groups.emplace_back();
    groups.back().push_back(change);
  }
  return groups;
}

/// Of the tornados of a cell: its place on the other axes.
std::string heading_of(const study::Table& table, std::size_t cell) {
  const std::vector<study::Axis> axes = table.study.axes();
  std::vector<std::string> places;
  for (std::size_t axis = 0; axis + 1 < axes.size(); ++axis) {
    places.push_back(axes[axis].pointer + "=" + table.cells[cell].values[axis]);
  }
  return places.empty() ? "" : "\n" + wrapped(fmt::format("{}", fmt::join(places, ", ")), 0) + "\n";
}

/// What stands beside the table: which steps are no tenth, and what could not be changed.
std::string notes_of(const study::Sensitivity& sensitivity) {
  std::string text;
  const bool other = std::ranges::any_of(sensitivity.steps, [](const auto& step) {
    return std::fabs(std::fabs(step.second) - study::kSensitivityStep) > 1e-9;
  });
  if (other) {
    text += wrapped(
                "[+5 %]: changed by this much instead of 10 %: as far as the scenario allows, "
                "whole numbers by 1 at least. -: it allows no change that way.",
                0) +
            "\n";
  }
  if (!sensitivity.fixed.empty()) {
    text += wrapped(fmt::format("Not changed, for it allows neither way: {}",
                                fmt::join(sensitivity.fixed, ", ")),
                    0) +
            "\n";
  }
  if (!sensitivity.varied.empty()) {
    text += wrapped(fmt::format("Not changed, for the study varies it: {}",
                                fmt::join(sensitivity.varied, ", ")),
                    0) +
            "\n";
  }
  return text;
}

}  // namespace

CapacityRequest capacity_request(const std::vector<std::string>& texts, double share,
                                 const std::string& command) {
  if (command != "run") throw ConfigError("--capacity: only a run has a load");
  CapacityRequest request{texts, {}, false};
  request.task.share = share;
  for (const std::string& text : texts) {
    request.task.requirements.push_back(study::parse_requirement(text, command));
    study::check_metrics(study::shape_of(command), {request.task.requirements.back().metric},
                         command);
  }
  return request;
}

int search_capacity(StudyEngine& engine, const study::Study& study, const CapacityRequest& request,
                    const fs::path& directory) {
  const auto capacities = study::find_capacities(study, knobs_of(engine, study), request.task,
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

std::string tornado_report(const study::Table& table, const study::Sensitivity& sensitivity,
                           Paint paint) {
  const study::Changes all = study::all_changes(table);
  std::string text = wrapped(fmt::format("{}: every number changed alone by 10 %; {}",
                                         table.study.file.string(), points_text(table)),
                             0) +
                     "\n";
  for (const auto& changes : by_unchanged_cell(all.dimensions.back())) {
    text += heading_of(table, changes.front().against);
    for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
      text += tornado_of(table, sensitivity, changes, m, paint);
    }
  }
  text += "\n" + notes_of(sensitivity);
  if (all.tested == 0) return text;
  return text +
         wrapped(fmt::format("n.s.: no significant difference at 5 % after Holm's "
                             "adjustment over {} differences.",
                             all.tested),
                 0) +
         "\n";
}

}  // namespace cmsim::cli
