// What a study says: means of its cells, what each axis changes, and by how much.
//
// Every comparison is of points with the same seed (common random numbers). Computes; prints
// nothing. Formulas: docs/statistics.md.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cmsim/study/statistics.hpp"
#include "cmsim/study/tables.hpp"

namespace cmsim::study {

/// For how many seeds something holds.
struct Count {
  std::size_t met = 0, of = 0;
};

/// A metric over the seeds of a cell: numbers, how often it is true, or how often each text came.
struct CellFigure {
  std::optional<Estimate> number;
  std::optional<Count> flag;
  std::map<std::string, std::size_t> texts;
};
CellFigure figure_of(std::span<const Value> values);
/// By cell and metric.
std::vector<std::vector<CellFigure>> cell_figures(const Table& table);

/// A cell against the one with the first value of a dimension, all else equal; by metric, none
/// where there are no numbers on both sides.
struct CellChange {
  std::size_t cell = 0, against = 0;
  std::vector<std::optional<Difference>> metrics;
};
/// Of one dimension.
std::vector<CellChange> changes(const Table& table, std::size_t dimension);

/// Every dimension's changes, with p-values adjusted by Holm over all of them together.
struct Changes {
  std::vector<std::vector<CellChange>> dimensions;
  std::size_t tested = 0;  // the family: differences that have a p-value and are not exact
};
Changes all_changes(const Table& table);

inline bool significant(const Difference& difference) {
  return difference.p && *difference.p < 1 - kConfidence;
}

/// d ln metric / d ln axis of a dimension whose first axis has numbers above 0, by metric: the mean
/// over the other dimensions for each seed, then over seeds. Empty when the axis is not numeric.
std::vector<std::optional<Estimate>> elasticities(const Table& table, std::size_t dimension);

/// Cells that no other cell is at least as good as in both metrics and better in one, by the first
/// metric from its best on. Throws ConfigError when a metric has no better end.
std::vector<std::size_t> pareto(const Table& table, const Metric& first, const Metric& second);

/// Whether a run of the cell was not stable or not steady, for any of the seeds.
bool is_passing(const Table& table, std::size_t cell);

/// The number of a metric in a cell for one of the seeds.
std::optional<double> number_of(const Table& table, std::size_t cell, std::size_t seed,
                                std::size_t metric);

}  // namespace cmsim::study
