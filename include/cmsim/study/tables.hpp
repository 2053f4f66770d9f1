// The points of a study as tables that other programs read: a wide CSV and an SQLite database.
//
// Made from the results alone: equal results give equal bytes, wherever and in whatever order the
// points were run. What a point cost differs from run to run and is a table of its own. Columns and
// tables: docs/studies.md.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cmsim/study/metric.hpp"
#include "cmsim/study/study.hpp"

namespace cmsim::study {

/// Outcomes with what the metrics of the study are in them; `values[i][m]`, by point and metric.
/// `usual` has the columns that other tools know, of runs only; both are empty for what is not
/// done. What `passing` runs show belongs to how long they were, not to a state that lasts.
struct Table {
  Study study;
  std::vector<Cell> cells;
  std::vector<StudyPoint> points;
  std::vector<Outcome> outcomes;
  std::vector<std::vector<Value>> values, usual;
  std::vector<bool> passing;  // by point: of a run that is not stable or not steady
};

/// How the points of a table, or of one of its cells, ended.
struct PointCounts {
  std::size_t of = 0, done = 0, failed = 0, missing = 0;
};
PointCounts count_points(const Table& table);
PointCounts count_points(const Table& table, std::size_t cell);

/// Throws ConfigError when no point that is done has one of the study's metrics.
Table make_table(const Study& study, std::vector<StudyPoint> points, std::vector<Outcome> outcomes);

/// RFC 4180, a row a point: number, digest, state, seed, params_*, values_*, the columns of
/// aiconfigurator that mean the same (runs only), error.
std::string to_csv(const Table& table);

/// A row a point that has ended: number, digest, attempts, cpu_s, peak_memory_bytes.
std::string to_costs(const Table& table);

/// How many points there are, and cells with their parameters, points, and the mean, half width and
/// samples of each metric; JSON.
std::string to_summary(const Table& table);

/// The bytes of a database file. Throws OutputError.
std::string to_database(const Table& table);

/// A cell of such a CSV: in quotes where it must be.
std::string csv_cell(const std::string& text);

const char* state_of(const Outcome& outcome);  // done | failed | missing

}  // namespace cmsim::study
