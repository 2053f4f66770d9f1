#include "cmsim/study/capacity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace cmsim::study {
namespace {

constexpr int kMostSteps = 60;
constexpr double kWidest = 1e4;  // ratio to the start within which is searched
constexpr double kLevel = 1e-3;  // a part by which a figure moves that does not move
constexpr int kLevelRounds = 2;  // of twice the load, or half of it, in a row

/// As the load is written: what is tried is what is said.
double rounded(double load, Loads loads) {
  return loads == Loads::kWhole ? std::round(load) : std::stod(fmt::format("{:.4g}", load));
}

/// A number, plain, with a unit or with its origin.
std::optional<Quantity> quantity_at(const nlohmann::json& root, const char* pointer) {
  const nlohmann::json::json_pointer where(pointer);
  if (!root.contains(where)) return std::nullopt;
  const nlohmann::json& given = root.at(where);
  const nlohmann::json& value =
      given.is_object() && given.contains("value") ? given["value"] : given;
  if (value.is_number()) return Quantity{value.get<double>(), ""};
  return split_quantity(value.is_string() ? value.get<std::string>() : "");
}

/// The bound in the metric's unit: a time with its own unit is converted to it.
double bound_of(const std::string& text, const Metric& metric, const std::string& whole) {
  const auto quantity = split_quantity(text);
  const auto refuse = [&](const std::string& why) {
    throw ConfigError({"--capacity " + whole, 0, ""}, why);
  };
  if (!quantity) refuse("expected METRIC<=NUMBER or METRIC>=NUMBER, e.g. p99_tpot<=50ms");
  if (quantity->unit.empty() || quantity->unit == metric.unit) return quantity->number;
  try {
    return parse_quantity(text, Dimension::kTime) /
           parse_quantity("1" + metric.unit, Dimension::kTime);
  } catch (const UnitError&) {
    refuse(fmt::format("{} is in {}", metric.name,
                       metric.unit.empty() ? "numbers without a unit" : metric.unit));
  }
  return 0;
}

/// A figure that grows with the load must reach something.
Holding holding_of(const std::vector<Requirement>& requirements) {
  const bool asks_for_more = std::ranges::any_of(requirements, [](const Requirement& one) {
    return one.bound == Bound::kAtLeast && one.metric.better == Better::kHigher;
  });
  return asks_for_more ? Holding::kBetween : Holding::kBelow;
}

/// What the requirements are about, of every seed. Empty where one is not about a number, or has
/// none in a result: then nothing is known of what moves.
std::vector<double> required_numbers(const std::vector<Requirement>& requirements,
                                     const std::vector<nlohmann::json>& results) {
  std::vector<double> numbers;
  for (const nlohmann::json& result : results) {
    for (const Requirement& requirement : requirements) {
      const Value value = value_of(result, requirement.metric);
      const auto* number = std::get_if<double>(&value);
      if (number == nullptr) return {};
      numbers.push_back(*number);
    }
  }
  return numbers;
}

/// Whether loads that were tried one after another no longer make a difference.
class Level {
 public:
  bool reached(std::vector<double> numbers) {
    const auto near = [](double a, double b) { return std::fabs(a - b) <= kLevel * std::fabs(a); };
    const bool same = !numbers.empty() && std::ranges::equal(numbers, last_, near);
    rounds_ = same ? rounds_ + 1 : 0;
    last_ = std::move(numbers);
    return rounds_ >= kLevelRounds;
  }

 private:
  std::vector<double> last_;
  int rounds_ = 0;
};

}  // namespace

Requirement parse_requirement(const std::string& text, const std::string& command) {
  const std::string origin = "--capacity";
  const std::size_t at = std::min(text.find("<="), text.find(">="));
  if (at == std::string::npos) {
    if (const std::size_t sign = text.find_first_of("<>="); sign != std::string::npos) {
      throw ConfigError({origin + " " + text, 0, ""},
                        fmt::format("use {}", text[sign] == '>' ? ">=" : "<="));
    }
    return {find_metric(text, command, origin), Bound::kTrue, 1};
  }
  Requirement requirement{find_metric(text.substr(0, at), command, origin),
                          text[at] == '<' ? Bound::kAtMost : Bound::kAtLeast, 0};
  requirement.value = bound_of(text.substr(at + 2), requirement.metric, text);
  return requirement;
}

bool holds(const Requirement& requirement, const nlohmann::json& result) {
  const Value value = value_of(result, requirement.metric);
  if (requirement.bound == Bound::kTrue) {
    const auto* flag = std::get_if<bool>(&value);
    return flag != nullptr && *flag;
  }
  const auto* number = std::get_if<double>(&value);
  if (number == nullptr) return false;
  return requirement.bound == Bound::kAtMost ? *number <= requirement.value
                                             : *number >= requirement.value;
}

void Bisection::tell(bool holds) {
  const double load = *next_;
  (holds ? bracket_.holds : bracket_.fails) = load;
  next_.reset();
  if (++steps_ >= kMostSteps) return;
  double further = 0;
  const bool too_little = holding_ == Holding::kBetween && !bracket_.holds;
  if (holds && bracket_.fails && *bracket_.fails < load) bracket_.fails.reset();
  if (!bracket_.fails || too_little) {
    further = load * 2;
  } else if (!bracket_.holds) {
    further = load / 2;
  } else {
    if (*bracket_.fails <= *bracket_.holds * (1 + tolerance_)) return;
    further = std::sqrt(*bracket_.holds * *bracket_.fails);
  }
  further = rounded(further, loads_);
  const bool outside = steps_ > std::log2(kWidest) && !(bracket_.holds && bracket_.fails);
  if (outside || further <= 0 || further == bracket_.holds || further == bracket_.fails) return;
  next_ = further;
}

void Bisection::tell_level() {
  if (!(bracket_.holds && bracket_.fails)) next_.reset();
}

std::string Knob::text(double load) const {
  return loads == Loads::kWhole ? fmt::format("{:.0f}", load) : fmt::format("{:.4g}{}", load, unit);
}

std::string Knob::set_to(double load) const { return pointer + "=" + text(load); }

Knob find_knob(const ConfigDocument& scenario) {
  const nlohmann::json& root = scenario.value();
  const nlohmann::json::json_pointer kind("/workload/arrivals/kind");
  const std::string arrivals =
      root.contains(kind) && root.at(kind).is_string() ? root.at(kind).get<std::string>() : "";
  if (arrivals == "closed_loop") {
    constexpr const char* kConcurrency = "/workload/arrivals/concurrency";
    const auto concurrency = quantity_at(root, kConcurrency);
    if (concurrency) return {kConcurrency, std::round(concurrency->number), "", Loads::kWhole};
    throw ConfigError(scenario.location(kConcurrency),
                      "missing: the search for the load of a closed loop begins with its number "
                      "of requests in flight; give one, e.g. --set /workload/arrivals/concurrency="
                      "1000");
  }
  if (arrivals == "all_at_once") {
    throw ConfigError(scenario.location(kind.to_string()),
                      "found all_at_once: there is no rate that could be searched");
  }
  for (const char* pointer : {"/workload/arrivals/rate", "/workload/time_scale"}) {
    const auto quantity = quantity_at(root, pointer);
    if (quantity) return {pointer, rounded(quantity->number, Loads::kAny), quantity->unit};
  }
  return {"/workload/time_scale", 1, ""};
}

std::vector<Capacity> find_capacities(const Study& study, std::span<const Knob> knobs,
                                      const CapacityTask& task, const RunStudyPoints& run) {
  const std::vector<StudyPoint> plain = expand(study);
  const std::size_t seeds = std::max<std::size_t>(1, study.seeds.size());
  std::vector<Capacity> capacities;
  std::vector<Bisection> searches;
  std::vector<Level> levels(knobs.size());
  for (const Knob& knob : knobs) {
    capacities.push_back({knob, {}, {}, {}, false});
    searches.emplace_back(knob.start, task.tolerance, knob.loads, holding_of(task.requirements));
  }
  const auto needed =
      static_cast<std::size_t>(std::ceil(task.share * static_cast<double>(seeds) - 1e-9));
  for (;;) {
    std::vector<std::size_t> cells;
    std::vector<StudyPoint> round;
    for (std::size_t cell = 0; cell < searches.size(); ++cell) {
      if (!searches[cell].next()) continue;
      cells.push_back(cell);
      for (std::size_t seed = 0; seed < seeds; ++seed) {
        round.push_back(plain[cell * seeds + seed]);
        round.back().point.sets.push_back(knobs[cell].set_to(*searches[cell].next()));
      }
    }
    if (cells.empty()) break;
    const std::vector<Outcome> outcomes = run(std::move(round));
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const auto first = outcomes.begin() + static_cast<long>(i * seeds);
      const std::vector<Outcome> of_cell(first, first + static_cast<long>(seeds));
      const auto ended = [](const Outcome& outcome) { return outcome.ending != Ending::kNotEnded; };
      if (!std::all_of(of_cell.begin(), of_cell.end(), ended)) return capacities;
      std::vector<nlohmann::json> results;
      for (const Outcome& outcome : of_cell) {
        if (outcome.done()) results.push_back(nlohmann::json::parse(outcome.result));
      }
      const auto met = std::ranges::count_if(results, [&](const nlohmann::json& result) {
        return std::ranges::all_of(task.requirements,
                                   [&](const Requirement& one) { return holds(one, result); });
      });
      for (const Outcome& outcome : of_cell) {
        std::string& error = capacities[cells[i]].error;
        if (error.empty()) error = outcome.error;
      }
      const bool enough = static_cast<std::size_t>(met) >= needed;
      Bisection& search = searches[cells[i]];
      search.tell(enough);
      if (search.next() && levels[cells[i]].reached(required_numbers(task.requirements, results))) {
        search.tell_level();
        capacities[cells[i]].level = !search.next();
      }
      if (enough) capacities[cells[i]].at_holds = of_cell;
      capacities[cells[i]].bracket = search.bracket();
    }
  }
  return capacities;
}

}  // namespace cmsim::study
