// How much load a scenario bears: the largest request rate, or scale of a trace's time, at which
// requirements hold in a given share of the seeds.
//
// By doubling and halving from the scenario's own load to a bracket (doubling alone where more load
// is what a requirement asks for), then by bisection in ratios:
// what is found is right when more load never helps. Without a bracket it ends at 10,000 times the
// scenario's load or a part of it, or where another load no longer moves what is required.
// Formulas: docs/statistics.md.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/study/study.hpp"

namespace cmsim::study {

enum class Bound { kAtMost, kAtLeast, kTrue };

struct Requirement {
  Metric metric;
  Bound bound = Bound::kAtMost;
  double value = 0;  // in the metric's unit
};

/// "p99_ttft<=2s", "goodput>=60", or the name of what is true or false: "slo". Throws ConfigError.
Requirement parse_requirement(const std::string& text, const std::string& command);
/// False where the result has no such figure.
bool holds(const Requirement& requirement, const nlohmann::json& result);

/// Loads between which the requirements cease to hold; none where no such load was met.
struct Bracket {
  std::optional<double> holds, fails;
};

enum class Loads { kAny, kWhole };  // kAny: four significant digits

/// Where loads that hold lie: below all that do not, or between some that are too little and some
/// that are too much, as of "goodput>=60".
enum class Holding { kBelow, kBetween };

class Bisection {
 public:
  /// Ends when the ends of the bracket differ by less than `tolerance` of the lower.
  Bisection(double start, double tolerance, Loads loads = Loads::kAny,
            Holding holding = Holding::kBelow)
      : next_(start), tolerance_(tolerance), loads_(loads), holding_(holding) {}

  /// The load to be tried; none when the search has ended.
  std::optional<double> next() const { return next_; }
  void tell(bool holds);
  /// What is required no longer moves with the load: ends while there is no bracket.
  void tell_level();
  const Bracket& bracket() const { return bracket_; }

 private:
  std::optional<double> next_;
  double tolerance_;
  Loads loads_;
  Holding holding_;
  int steps_ = 0;
  Bracket bracket_;
};

/// What scales the load of a scenario: the concurrency of a closed loop, /workload/arrivals/rate
/// where it is given, else /workload/time_scale (2 = arrivals twice as fast).
struct Knob {
  std::string pointer;
  double start = 1;
  std::string unit;
  Loads loads = Loads::kAny;

  std::string text(double load) const;    // as it is written
  std::string set_to(double load) const;  // "/pointer=value"
};
/// Throws ConfigError when the load cannot be scaled.
Knob find_knob(const ConfigDocument& scenario);

struct CapacityTask {
  std::vector<Requirement> requirements;
  double share = 1;         // of the seeds
  double tolerance = 0.02;  // of the load
};

/// Of a cell: its bracket, the outcomes at the load that holds, one a seed (empty when none), what
/// the first point that failed said, and whether the search ended where loads no longer matter.
struct Capacity {
  Knob knob;
  Bracket bracket;
  std::vector<Outcome> at_holds;
  std::string error;
  bool level = false;
};

using RunStudyPoints = std::function<std::vector<Outcome>(std::vector<StudyPoint>)>;

/// By cell; `knobs` has one for each. A point that fails does not hold. Stops, with what it knows,
/// when a point is Ending::kNotEnded.
std::vector<Capacity> find_capacities(const Study& study, std::span<const Knob> knobs,
                                      const CapacityTask& task, const RunStudyPoints& run);

}  // namespace cmsim::study
