#include "study_source.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "cmsim/base/error.hpp"
#include "cmsim/study/analysis.hpp"
#include "cmsim/study/axis.hpp"
#include "cmsim/study/database.hpp"
#include "rounded.hpp"
#include "run_source.hpp"

namespace cmsim::report {
namespace {

using Json = nlohmann::ordered_json;
using study::Metric;
using study::RecordedPoint;
using study::RecordedStudy;
using study::Value;

constexpr std::size_t kMostPoints = 5'000;  // that are listed; cells are of all

/// Those that the study asked for, then the headlines of its command.
std::vector<Metric> metrics_of(const RecordedStudy& recorded) {
  std::vector<Metric> metrics = study::headlines(recorded.command);
  for (const std::string& name : recorded.metrics) {
    const Metric metric = study::find_metric(name, recorded.command);
    if (std::ranges::find(metrics, metric.pointer, &Metric::pointer) == metrics.end()) {
      metrics.push_back(metric);
    }
  }
  return metrics;
}

const char* text_of(study::Better better) {
  return better == study::Better::kHigher  ? "higher"
         : better == study::Better::kLower ? "lower"
                                           : "";
}

Json json_of(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return rounded(*number);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return nullptr;
}

Json json_of(const study::CellFigure& figure) {
  if (figure.number) {
    Json json{{"mean", rounded(figure.number->mean)}, {"n", figure.number->samples}};
    if (figure.number->half) json["half"] = rounded(*figure.number->half);
    return json;
  }
  if (figure.flag) return {{"met", figure.flag->met}, {"of", figure.flag->of}};
  if (!figure.texts.empty()) return {{"texts", figure.texts}};
  return nullptr;
}

/// Whether what a run shows belongs to a state that lasts.
bool is_passing(const nlohmann::json& result) {
  const auto verdict = nlohmann::json::json_pointer("/load/verdict");
  const auto steady = nlohmann::json::json_pointer("/window/steady");
  if (!result.contains(verdict)) return false;
  return result.at(verdict) != "stable" || !result.value(steady, true);
}

struct Axis {
  std::string name;
  std::vector<std::string> values;  // in the order in which they first come
};

class StudyPage {
 public:
  explicit StudyPage(RecordedStudy recorded)
      : recorded_(std::move(recorded)), metrics_(metrics_of(recorded_)) {
    for (const RecordedPoint& point : recorded_.points) read(point);
  }

  Json json(const std::string& name) const {
    return {{"kind", "study"},
            {"name", name},
            {"command", recorded_.command},
            {"scenario", recorded_.scenario},
            {"version", recorded_.version},
            {"metrics", metrics_json()},
            {"axes", axes_json()},
            {"states", states_},
            {"points", points_json()},
            {"points_left_out",
             recorded_.points.size() - std::min(recorded_.points.size(), kMostPoints)},
            {"cells", cells_json()}};
  }

 private:
  struct Cell {
    std::vector<std::string> settings;         // of each axis
    std::map<std::int64_t, std::size_t> rows;  // by seed, of those that are done
    std::size_t points = 0;
    bool passing = false;
  };

  void read(const RecordedPoint& point) {
    ++states_[point.state];
    Cell& cell = cells_[point.cell];
    ++cell.points;
    if (cell.points == 1) read_axes(point, cell);
    std::vector<Value>& row = values_.emplace_back(metrics_.size());
    if (point.state != "done") return;
    const auto result = nlohmann::json::parse(point.result, nullptr, false);
    if (result.is_discarded()) {
      throw ConfigError("the result of point " + std::to_string(point.number) + " is no JSON");
    }
    for (std::size_t m = 0; m < metrics_.size(); ++m) row[m] = value_of(result, metrics_[m]);
    cell.rows[point.seed.value_or(0)] = values_.size() - 1;
    cell.passing = cell.passing || is_passing(result);
  }

  void read_axes(const RecordedPoint& point, Cell& cell) {
    for (std::size_t i = 0; i < point.params.size(); ++i) {
      const auto& [name, setting] = point.params[i];
      if (axes_.size() <= i) axes_.push_back({name, {}});
      std::vector<std::string>& values = axes_[i].values;
      if (std::ranges::find(values, setting) == values.end()) values.push_back(setting);
      cell.settings.push_back(setting);
    }
  }

  Json metrics_json() const {
    Json all = Json::array();
    for (const Metric& metric : metrics_) {
      all.push_back({{"name", metric.name},
                     {"pointer", metric.pointer},
                     {"unit", metric.unit},
                     {"better", text_of(metric.better)}});
    }
    return all;
  }

  Json axes_json() const {
    Json all = Json::array();
    for (const Axis& axis : axes_) {
      Json numbers = Json::array();
      for (const std::string& value : axis.values) {
        const auto number = study::numeric_value(value);
        numbers.push_back(number ? rounded(*number) : Json());
      }
      all.push_back({{"name", axis.name}, {"values", axis.values}, {"numbers", numbers}});
    }
    return all;
  }

  Json points_json() const {
    Json all = Json::array();
    for (std::size_t i = 0; i < std::min(recorded_.points.size(), kMostPoints); ++i) {
      const RecordedPoint& point = recorded_.points[i];
      Json values = Json::array();
      for (const Value& value : values_[i]) values.push_back(json_of(value));
      Json json{{"number", point.number}, {"cell", point.cell},       {"seed", nullptr},
                {"state", point.state},   {"command", point.command}, {"values", values}};
      if (point.seed) json["seed"] = *point.seed;
      if (!point.error.empty()) json["error"] = point.error;
      all.push_back(std::move(json));
    }
    return all;
  }

  Json cells_json() const {
    Json all = Json::array();
    for (const auto& [number, cell] : cells_) {
      Json figures = Json::array(), changes = Json::array();
      for (std::size_t m = 0; m < metrics_.size(); ++m) {
        figures.push_back(figure_json(cell, m));
        changes.push_back(change_json(cell, m));
      }
      all.push_back({{"cell", number},
                     {"settings", cell.settings},
                     {"points", cell.points},
                     {"done", cell.rows.size()},
                     {"passing", cell.passing},
                     {"figures", figures},
                     {"changes", changes}});
    }
    return all;
  }

  Json figure_json(const Cell& cell, std::size_t metric) const {
    std::vector<Value> values;
    for (const auto& [seed, row] : cell.rows) values.push_back(values_[row][metric]);
    return json_of(study::figure_of(values));
  }

  /// Against the first cell, over the seeds that both have.
  Json change_json(const Cell& cell, std::size_t metric) const {
    const Cell& base = cells_.begin()->second;
    std::vector<double> before, after;
    for (const auto& [seed, row] : cell.rows) {
      const auto paired = base.rows.find(seed);
      if (paired == base.rows.end()) continue;
      const auto* first = std::get_if<double>(&values_[paired->second][metric]);
      const auto* second = std::get_if<double>(&values_[row][metric]);
      if (first == nullptr || second == nullptr) continue;
      before.push_back(*first);
      after.push_back(*second);
    }
    if (before.empty()) return nullptr;
    const study::Difference difference = study::paired_difference(before, after);
    const double mean = study::estimate(before).mean;
    Json json{{"relative", rounded(difference.relative)}};
    if (difference.of.half && mean != 0)
      json["half"] = rounded(*difference.of.half / std::abs(mean));
    return json;
  }

  RecordedStudy recorded_;
  std::vector<Metric> metrics_;
  std::vector<std::vector<Value>> values_;  // by point and metric
  std::vector<Axis> axes_;
  std::map<std::int64_t, Cell> cells_;
  std::map<std::string, std::size_t> states_;
};

}  // namespace

Source study_source(const std::filesystem::path& file, const std::string& name) {
  RecordedStudy recorded = study::read_database(file);
  require_version(recorded.version, file.string());
  try {
    return {StudyPage(std::move(recorded)).json(name), ""};
  } catch (const ConfigError& error) {
    throw ConfigError({file.string(), 0, ""}, error.what());
  }
}

}  // namespace cmsim::report
