#include "study_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "report.hpp"
#include "text_table.hpp"

namespace cmsim::cli {
namespace {

using study::Cell;
using study::Table;

constexpr std::size_t kWidestName = 28, kMostFailures = 5;

/// The end of the pointer that no other axis has.
std::string name_of(const study::Axis& axis, const std::vector<study::Axis>& axes) {
  const std::string& pointer = axis.pointer;
  for (std::size_t slash = pointer.rfind('/'); slash != std::string::npos && slash > 0;
       slash = pointer.rfind('/', slash - 1)) {
    const std::string end = pointer.substr(slash);
    const auto like = std::count_if(axes.begin(), axes.end(), [&](const study::Axis& other) {
      return other.pointer.ends_with(end);
    });
    if (like == 1) return elided(end.substr(1), kWidestName);
  }
  return elided(pointer, kWidestName);
}

/// Metrics that have something to show in some cell.
std::vector<std::size_t> shown_metrics(const Table& table) {
  std::vector<std::size_t> list;
  for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
    const bool any = std::any_of(table.values.begin(), table.values.end(), [&](const auto& values) {
      return !std::holds_alternative<study::Nothing>(values[m]);
    });
    if (any) list.push_back(m);
  }
  return list;
}

constexpr const char* kMark = " *";
constexpr const char* kFootnote =
    "* of runs that are not stable or not steady: figures of such a run hang on how long it is.\n";

bool any_passing(const Table& table) {
  return std::ranges::find(table.passing, true) != table.passing.end();
}

std::string count_text(std::size_t count, const char* noun) {
  return fmt::format("{} {}{}", grouped(static_cast<std::int64_t>(count)), noun,
                     count == 1 ? "" : "s");
}

std::size_t most_seeds(const Table& table) {
  std::size_t most = 0;
  for (std::size_t cell = 0; cell < table.cells.size(); ++cell) {
    most = std::max(most, study::count_points(table, cell).done);
  }
  return most;
}

bool complete(const Table& table) {
  const study::PointCounts counts = study::count_points(table);
  return counts.done == counts.of;
}

/// What names the only row of a study without axes.
std::string only_row(const Table& table) {
  const study::PointCounts counts = study::count_points(table);
  if (counts.of == 1) return "one run";
  return complete(table) ? "all seeds" : fmt::format("{} of {} seeds", counts.done, counts.of);
}

/// Its values; with a mark, and explained in the footnote, where runs of it are not steady.
std::vector<std::string> names_of(const Table& table, std::size_t cell) {
  std::vector<std::string> names;
  for (const std::string& value : table.cells[cell].values) {
    names.push_back(elided(value, kWidestName));
  }
  if (names.empty()) names.push_back(only_row(table));
  if (study::is_passing(table, cell)) names.back() += kMark;
  return names;
}

std::string cells_text(const Table& table, Paint paint) {
  const std::vector<study::Axis> axes = table.study.axes();
  const bool counted = !complete(table) && !axes.empty();
  TextTable text{std::max<std::size_t>(1, axes.size()), {{}}};
  for (const study::Axis& axis : axes) text.rows[0].push_back(name_of(axis, axes));
  if (axes.empty()) text.rows[0].emplace_back("");
  if (counted) {
    text.rows[0].emplace_back("n");
    ++text.names;
  }
  const auto metrics = shown_metrics(table);
  for (const std::size_t m : metrics) text.rows[0].push_back(title_of(table.study.metrics[m]));
  const auto figures = study::cell_figures(table);
  for (std::size_t cell = 0; cell < table.cells.size(); ++cell) {
    std::vector<std::string> row = names_of(table, cell);
    if (counted) row.push_back(std::to_string(study::count_points(table, cell).done));
    for (const std::size_t m : metrics) row.push_back(cell_text(figures[cell][m]));
    text.rows.push_back(std::move(row));
  }
  return text.text(paint);
}

/// Metrics that have numbers in some change.
std::vector<std::size_t> compared(const std::vector<study::CellChange>& changes) {
  std::vector<std::size_t> list;
  if (changes.empty()) return list;
  for (std::size_t m = 0; m < changes.front().metrics.size(); ++m) {
    const bool any = std::any_of(changes.begin(), changes.end(),
                                 [&](const auto& change) { return change.metrics[m].has_value(); });
    if (any) list.push_back(m);
  }
  return list;
}

std::string first_values(const std::vector<study::Axis>& dimension) {
  std::string text;
  for (const study::Axis& axis : dimension) {
    text += (text.empty() ? "" : ", ") + axis.pointer + "=" + elided(axis.values[0], kWidestName);
  }
  return text;
}

std::string changes_text(const Table& table, std::size_t dimension,
                         const std::vector<study::CellChange>& changes, Paint paint) {
  const auto metrics = compared(changes);
  if (metrics.empty()) return "";
  const std::vector<study::Axis> axes = table.study.axes();
  TextTable text{axes.size(), {{}}};
  for (const study::Axis& axis : axes) text.rows[0].push_back(name_of(axis, axes));
  for (const std::size_t m : metrics) text.rows[0].push_back(table.study.metrics[m].name);
  for (const study::CellChange& change : changes) {
    std::vector<std::string> row = names_of(table, change.cell);
    if (study::is_passing(table, change.against) && !study::is_passing(table, change.cell)) {
      row.back() += kMark;
    }
    for (const std::size_t m : metrics) {
      row.push_back(change.metrics[m] ? change_text(*change.metrics[m]) : "-");
    }
    text.rows.push_back(std::move(row));
  }
  return "\n" +
         styled(wrapped("Change from " + first_values(table.study.dimensions[dimension]), 0),
                Style::kBold, paint) +
         "\n" + text.text(paint);
}

std::string elasticities_text(const Table& table, Paint paint) {
  TextTable text{1, {{"Elasticity (% for 1 %)"}}};
  for (const study::Metric& metric : table.study.metrics) text.rows[0].push_back(metric.name);
  for (std::size_t d = 0; d < table.study.dimensions.size(); ++d) {
    const auto list = study::elasticities(table, d);
    if (list.empty()) continue;
    std::vector<std::string> row{name_of(table.study.dimensions[d].front(), table.study.axes()) +
                                 (any_passing(table) ? kMark : "")};
    for (const auto& one : list) {
      row.push_back(one ? with_interval(one->mean, one->half.value_or(0), 3) : "-");
    }
    text.rows.push_back(std::move(row));
  }
  // A column without any is of a text.
  for (std::size_t c = text.rows[0].size(); c-- > 1;) {
    const bool empty = std::all_of(text.rows.begin() + 1, text.rows.end(),
                                   [&](const auto& row) { return row[c] == "-"; });
    for (auto& row : text.rows) {
      if (empty) row.erase(row.begin() + static_cast<long>(c));
    }
  }
  return text.rows.size() > 1 && text.rows[0].size() > 1 ? "\n" + text.text(paint) : "";
}

std::string pareto_text(const Table& table, const ParetoAxes& axes, Paint paint) {
  if (!axes) return "";
  const auto front = study::pareto(table, axes->first, axes->second);
  const auto figures = study::cell_figures(table);
  const std::vector<study::Axis> all = table.study.axes();
  TextTable text{std::max<std::size_t>(1, all.size()), {{}}};
  for (const study::Axis& axis : all) text.rows[0].push_back(name_of(axis, all));
  if (all.empty()) text.rows[0].emplace_back("");
  std::vector<std::size_t> columns;
  for (const study::Metric& wanted : {axes->first, axes->second}) {
    for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
      if (table.study.metrics[m].pointer == wanted.pointer) columns.push_back(m);
    }
    text.rows[0].push_back(title_of(wanted));
  }
  for (const std::size_t cell : front) {
    std::vector<std::string> row = names_of(table, cell);
    for (const std::size_t m : columns) {
      row.push_back(cell_text(figures[cell][m]));
    }
    text.rows.push_back(std::move(row));
  }
  return "\n" +
         styled(
             fmt::format("Pareto front of {} and {} (means)", axes->first.name, axes->second.name),
             Style::kBold, paint) +
         "\n" + text.text(paint);
}

}  // namespace

std::string title_of(const study::Metric& metric) {
  return metric.unit.empty() ? metric.name : metric.name + " " + metric.unit;
}

std::string cell_text(const study::CellFigure& figure) {
  if (figure.number) {
    return with_interval(figure.number->mean, figure.number->half.value_or(0));
  }
  if (figure.flag) return fmt::format("met in {} of {}", figure.flag->met, figure.flag->of);
  std::string text;
  for (const auto& [word, count] : figure.texts) {
    text += (text.empty() ? "" : ", ") +
            (figure.texts.size() == 1 ? word : fmt::format("{} {}", count, word));
  }
  return text.empty() ? "-" : text;
}

/// In percent, or as it is where the first is 0.
std::string change_text(const study::Difference& difference) {
  const double mean = difference.of.mean;
  const std::string sign = mean > 0 ? "+" : "";
  const bool has_base = mean == 0 || difference.relative != 0;
  if (!difference.p || difference.exact) {
    if (mean == 0) return "none";
    return has_base ? signed_fixed(difference.relative * 100, 2) + " %"
                    : sign + with_interval(mean, 0);
  }
  const std::string chance = study::significant(difference) ? "" : " n.s.";
  if (!has_base) return sign + with_interval(mean, *difference.of.half) + chance;
  const double scale = mean == 0 ? 0 : difference.relative / mean;
  const double half = *difference.of.half * std::fabs(scale) * 100;
  return sign + with_interval(difference.relative * 100, half, 2) + " %" + chance;
}

std::string seeds_text(const Table& table) {
  const std::vector<std::uint64_t>& seeds = table.study.seeds;
  const std::size_t most = most_seeds(table);
  if (most == 0) return "nothing to show";
  if (most == 1) return "one seed: no interval can be given";
  const bool in_row = seeds.back() - seeds.front() + 1 == seeds.size();
  std::string which = "the seeds that are there";
  if (complete(table)) {
    which = fmt::format("{} seeds{}", seeds.size(),
                        in_row ? fmt::format(" ({}..{})", seeds.front(), seeds.back()) : "");
  } else if (table.cells.size() == 1) {
    which = fmt::format("{} of {} seeds", most, seeds.size());
  }
  return "mean ± half of the 95 % t-interval over " + which;
}

std::string points_text(const Table& table) {
  const study::PointCounts counts = study::count_points(table);
  std::string text;
  if (counts.done < counts.of) {
    text = grouped(static_cast<std::int64_t>(counts.done)) + " of ";
  }
  text += count_text(counts.of, "point") + " of " + count_text(table.cells.size(), "cell");
  for (const auto& [count, what] :
       {std::pair{counts.failed, "failed"}, std::pair{counts.missing, "missing"}}) {
    if (count > 0) text += fmt::format(", {} {}", grouped(static_cast<std::int64_t>(count)), what);
  }
  return text + "; " + seeds_text(table);
}

std::string failures_report(const Table& table) {
  struct Failure {
    std::string error, first;  // the command line of the first point that has it
    std::size_t points = 0;
  };
  std::vector<Failure> failures;
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    const study::Outcome& outcome = table.outcomes[i];
    if (outcome.done() || outcome.ending == Ending::kNotEnded) continue;
    auto same = std::ranges::find(failures, outcome.error, &Failure::error);
    if (same == failures.end()) {
      same = failures.insert(same, {outcome.error, study::spelled(table.points[i].point), 0});
    }
    ++same->points;
  }
  const study::PointCounts counts = study::count_points(table);
  const auto of_all = [&](std::size_t count) {
    return fmt::format("{} of {}", grouped(static_cast<std::int64_t>(count)),
                       count_text(counts.of, "point"));
  };
  std::string text;
  if (counts.failed > 0) text = "failed: " + of_all(counts.failed) + "\n";
  for (std::size_t i = 0; i < std::min(failures.size(), kMostFailures); ++i) {
    text += "  " + failures[i].first;
    if (failures[i].points > 1) {
      text += fmt::format(" (and {} more)", failures[i].points - 1);
    }
    text += "\n    " + failures[i].error + "\n";
  }
  if (failures.size() > kMostFailures) {
    text += fmt::format("  and {} other errors\n", failures.size() - kMostFailures);
  }
  if (counts.missing > 0) {
    text += "missing: " + of_all(counts.missing) + "\n";
  }
  return text;
}

std::string provenance_notes(const Table& table) {
  const auto done = std::ranges::find_if(table.outcomes, &study::Outcome::done);
  if (done == table.outcomes.end()) return "";
  const nlohmann::json result = nlohmann::json::parse(done->result);
  if (!result.contains("provenance")) return "";
  const nlohmann::json& provenance = result["provenance"];
  std::string text;
  const auto retired = provenance.value("trace_retired", std::vector<std::string>());
  if (!retired.empty()) {
    text += "Without " + retired_text(retired) + ".\n";
  }
  const auto streams = provenance.value("seed_redraws", std::vector<std::string>());
  const bool workload = std::ranges::any_of(streams, [](const std::string& stream) {
    return stream.starts_with("work/") || stream == "run/population";
  });
  if (table.study.seeds.size() > 1 && !workload) {
    text += fmt::format(
        "All seeds replay the same requests, drawn anew is {}: an interval says nothing about\n"
        "other requests. /workload/resample draws the trace anew for each seed.\n",
        streams.empty() ? std::string("nothing")
                        : fmt::format("{} alone", fmt::join(streams, ", ")));
  }
  return text;
}

std::string study_report(const Table& table, const ParetoAxes& pareto, Paint paint) {
  std::string text = wrapped(table.study.file.string() + ": " + points_text(table), 0) + "\n";
  if (most_seeds(table) == 0) return text;
  text += "\n" + cells_text(table, paint);
  const study::Changes all = study::all_changes(table);
  for (std::size_t d = 0; d < all.dimensions.size(); ++d) {
    text += changes_text(table, d, all.dimensions[d], paint);
  }
  if (all.tested > 0) {
    text += wrapped(fmt::format("Differences are of pairs with the same seed, ± half of the 95 % "
                                "t-interval. n.s.: no significant difference at 5 % after Holm's "
                                "adjustment over {} differences.",
                                all.tested),
                    0) +
            "\n";
  }
  text += elasticities_text(table, paint) + pareto_text(table, pareto, paint);
  if (any_passing(table)) text += kFootnote;
  return text + provenance_notes(table);
}

}  // namespace cmsim::cli
