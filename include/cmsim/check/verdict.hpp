// Two questions about each metric of a case, kept apart: did it change, and did it regress?
//
// It changed when its value differs in 12 significant digits from the one before. It regressed when
// it moved from its reference by more than both tolerances and not to the better. What is no number
// regresses when it changes. A case is as bad as its worst metric.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cmsim/check/baseline.hpp"
#include "cmsim/check/difference.hpp"

namespace cmsim::check {

/// From good to bad.
enum class State {
  kOk,         // as before
  kChanged,    // moved, within the tolerances or to the better
  kRegressed,  // moved to the worse, out of the tolerances
  kMissing,    // the metric or the case is not in one of the two
  kInvalid     // the case could not be run
};
std::string to_string(State state);

/// What came of running a case: figures, or why there are none.
struct CaseRun {
  std::optional<Figures> figures;
  std::string error;
};

struct MetricVerdict {
  MetricMove move;
  State state = State::kOk;
  std::string rule;                  // what was allowed: "+1 % or +0.5 ms", "no move"
  std::string because;               // the part of the breakdown behind a move; may be empty
  std::optional<Interval> interval;  // of the new value, over seeds
  SourceLocation where;
};

struct CaseVerdict {
  std::string name;
  State state = State::kOk;
  std::string problem;  // why a case is missing or invalid
  std::vector<MetricVerdict> metrics;
  Difference difference;
  SourceLocation where;
};

struct Verdict {
  std::string title;  // what was checked against what
  Changes changes = Changes::kFail;
  std::vector<CaseVerdict> cases;

  bool fails(State state) const;
  bool passed() const;
  std::size_t metrics(State state) const;
  std::size_t cases_without_metrics(State state) const;
};

/// `old` is what was recorded, or what another program gave; `missing` says why when there is none.
CaseVerdict judge(const Case& made, const CaseRun& old, const CaseRun& now);

}  // namespace cmsim::check
