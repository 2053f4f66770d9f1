// A study as a value: a scenario, what is varied in it, with which seeds, and what is looked at.
//
// Its axes make cells, its seeds replicate every cell; a point is one of both. Axes of one
// dimension advance together (--zip), dimensions are multiplied. Cells are in the order of a nested
// loop whose first dimension is the outermost, points are by cell, then by seed: the same on every
// machine.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cmsim/study/axis.hpp"
#include "cmsim/study/metric.hpp"
#include "cmsim/study/point.hpp"

namespace cmsim::study {

inline constexpr std::size_t kMostPoints = 1'000'000;

struct Study {
  std::string command = "run";
  std::filesystem::path file;
  std::vector<std::string> sets, options;  // of every point
  std::vector<std::vector<Axis>> dimensions;
  std::vector<std::uint64_t> seeds;  // none: each point has the seed of its file
  std::vector<Metric> metrics;

  std::vector<Axis> axes() const;  // of all dimensions, in order
};

struct Cell {
  std::vector<std::size_t> at;      // the position in each dimension
  std::vector<std::string> values;  // of each axis
};

struct StudyPoint {
  Point point;
  std::size_t cell = 0;
  std::string digest;  // see digest_points()
};

std::vector<Cell> cells_of(const Study& study);

/// Without digests. Throws ConfigError when there are more than kMostPoints.
std::vector<StudyPoint> expand(const Study& study);

/// A study file (docs/studies.md); paths in it are relative to it. Throws ConfigError.
Study read_study(const std::filesystem::path& file);

/// Where the scenario or platform of the study lies. Throws ConfigError when there is none.
std::filesystem::path file_of(const Study& study);

/// A study file that read_study() reads as this study, whatever the working directory.
std::string to_json(const Study& study);

/// Whether the file is a study rather than a scenario: it has a key /scenario.
bool is_study(const std::filesystem::path& file);

/// Throws ConfigError for what no study can be: an axis twice, axes of one dimension of different
/// lengths, a command that is not known, seeds for a command that draws nothing, a metric that no
/// result can have.
void check(const Study& study);

}  // namespace cmsim::study
