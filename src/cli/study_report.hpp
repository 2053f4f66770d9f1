// What a study found, for a terminal: its cells with intervals, what each axis changes,
// elasticities and what failed.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "cmsim/study/analysis.hpp"
#include "terminal.hpp"

namespace cmsim::cli {

using ParetoAxes = std::optional<std::pair<study::Metric, study::Metric>>;

std::string study_report(const study::Table& table, const ParetoAxes& pareto, Paint paint);

/// What is there and over how many seeds: "8 points of 1 cell; mean ± half of the 95 % t-interval
/// over 8 seeds (1..8)", "3 of 8 points of 1 cell, 5 missing; mean ± ... over the seeds that are
/// there".
std::string points_text(const study::Table& table);
/// The second part of it.
std::string seeds_text(const study::Table& table);

/// A line for each different error of the points that failed, the first few; "" when none did.
std::string failures_report(const study::Table& table);

/// What has to be known of the runs to read their figures: keys that a trace retired, and what the
/// seeds draw anew when it is not the requests. Lines, or "".
std::string provenance_notes(const study::Table& table);

/// "goodput req/s"
std::string title_of(const study::Metric& metric);
/// A metric over the seeds: "65.2 ± 1.3", "met in 4 of 5", "stable" or "2 overloaded, 3 stable".
std::string cell_text(const study::CellFigure& figure);
/// "+1.2 ± 0.3 %", and "n.s." when it may be chance.
std::string change_text(const study::Difference& difference);

}  // namespace cmsim::cli
