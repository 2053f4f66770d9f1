// A baseline file: cases to run, and how far each of their metrics may move.
//
// Written by people, JSON with comments, and never rewritten: what the cases gave when they were
// last recorded lies beside it (recording.hpp). Paths in it are from its own directory. Every
// mistake in it is a ConfigError with file, line and pointer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/check/kind.hpp"
#include "cmsim/study/point.hpp"

namespace cmsim::check {

/// A move regresses when it is larger than both tolerances and not to the better.
struct Expectation {
  Metric metric;                    // with the direction of the file, where it gives one
  double relative = 0;              // of the value that the move is measured from
  double absolute = 0;              // in the metric's unit
  std::optional<double> reference;  // moves are measured from here; else from what was recorded
  SourceLocation where;
};

struct Case {
  std::string name;
  Kind kind = Kind::kRun;
  study::Point point;                // without a seed
  std::vector<std::uint64_t> seeds;  // empty: the scenario's own
  std::vector<Expectation> expectations;
  SourceLocation where;
};

/// Whether a case that changed within its tolerances fails the check.
enum class Changes { kFail, kAllow };

struct Baseline {
  std::filesystem::path file;
  std::string description;
  Changes changes = Changes::kFail;
  std::vector<Case> cases;
};

Baseline load_baseline(const std::filesystem::path& file);

/// Without the cases whose name does not contain the text; ConfigError when none is left.
Baseline only(Baseline baseline, const std::string& text);

}  // namespace cmsim::check
