#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cmsim/base/error.hpp"
#include "cmsim/study/tables.hpp"
#include "same_meaning.hpp"

namespace cmsim::study {
namespace {

std::string shown(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:.12g}", *number);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return csv_cell(*text);
  return "";
}

bool of_passing_run(const nlohmann::json& result) {
  if (!result.contains("load") || !result.contains("window")) return false;  // not of a run
  return result["load"].value("verdict", "") != "stable" ||
         !result["window"].value("steady", false);
}

/// A metric that no result has is a mistake of who asked for it.
void check_found(const Table& table) {
  for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
    bool any_done = false, found = false;
    for (std::size_t i = 0; i < table.points.size(); ++i) {
      if (!table.outcomes[i].done()) continue;
      any_done = true;
      found = found || !std::holds_alternative<Nothing>(table.values[i][m]);
    }
    const Metric& metric = table.study.metrics[m];
    // A headline may be missing, such as TTFT where nothing is decoded.
    if (!any_done || found || is_headline(metric, table.study.command)) continue;
    throw ConfigError({"metric " + metric.name, 0, ""},
                      fmt::format("no result has a number or a text at {}", metric.pointer));
  }
}

void count(PointCounts& counts, const Outcome& outcome) {
  ++counts.of;
  ++(outcome.done()                        ? counts.done
     : outcome.ending == Ending::kNotEnded ? counts.missing
                                           : counts.failed);
}

}  // namespace

PointCounts count_points(const Table& table) {
  PointCounts counts;
  for (const Outcome& outcome : table.outcomes) count(counts, outcome);
  return counts;
}

PointCounts count_points(const Table& table, std::size_t cell) {
  PointCounts counts;
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    if (table.points[i].cell == cell) count(counts, table.outcomes[i]);
  }
  return counts;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string cell = "\"";
  for (const char c : text) cell += c == '"' ? std::string("\"\"") : std::string(1, c);
  return cell + "\"";
}

const char* state_of(const Outcome& outcome) {
  if (outcome.done()) return "done";
  return outcome.ending == Ending::kNotEnded ? "missing" : "failed";
}

Table make_table(const Study& study, std::vector<StudyPoint> points,
                 std::vector<Outcome> outcomes) {
  Table table{study, cells_of(study), std::move(points), std::move(outcomes), {}, {}, {}};
  for (const Outcome& outcome : table.outcomes) {
    std::vector<Value> values(study.metrics.size()), usual(same_meaning_names().size());
    bool passing = false;
    if (outcome.done()) {
      const nlohmann::json result = nlohmann::json::parse(outcome.result);
      for (std::size_t m = 0; m < values.size(); ++m) {
        values[m] = value_of(result, study.metrics[m]);
      }
      usual = same_meaning(result);
      passing = of_passing_run(result);
    }
    table.passing.push_back(passing);
    table.values.push_back(std::move(values));
    table.usual.push_back(std::move(usual));
  }
  check_found(table);
  return table;
}

std::string to_csv(const Table& table) {
  const bool runs = table.study.command == "run";
  std::string csv = "number,digest,state,seed";
  for (const Axis& axis : table.study.axes()) csv += "," + csv_cell("params_" + axis.pointer);
  for (const Metric& metric : table.study.metrics) csv += "," + csv_cell("values_" + metric.name);
  if (runs) {
    for (const std::string& name : same_meaning_names()) csv += "," + name;
  }
  csv += ",error\n";
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    const StudyPoint& point = table.points[i];
    const Outcome& outcome = table.outcomes[i];
    csv += fmt::format("{},{},{},", i, point.digest, state_of(outcome));
    if (point.point.seed) csv += std::to_string(*point.point.seed);
    for (const std::string& value : table.cells[point.cell].values) csv += "," + csv_cell(value);
    for (const Value& value : table.values[i]) csv += "," + shown(value);
    if (runs) {
      for (const Value& value : table.usual[i]) csv += "," + shown(value);
    }
    csv += "," + csv_cell(outcome.error) + "\n";
  }
  return csv;
}

std::string to_costs(const Table& table) {
  std::string csv = "number,digest,attempts,cpu_s,peak_memory_bytes\n";
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    const Outcome& outcome = table.outcomes[i];
    if (outcome.ending == Ending::kNotEnded) continue;
    csv += fmt::format("{},{},{},{:.6f},{}\n", i, table.points[i].digest, outcome.attempts,
                       outcome.cpu, outcome.peak_memory);
  }
  return csv;
}

}  // namespace cmsim::study
