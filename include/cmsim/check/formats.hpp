// A verdict as people and as CI systems read it. All are texts; nothing is written here.
#pragma once

#include <string>

#include "cmsim/check/verdict.hpp"

namespace cmsim::check {

/// The state of each case; of what moved, by how much, and which part of the breakdown moved it. At
/// most 100 columns wide unless an explanation is longer.
std::string moves_table(const Verdict& verdict);

/// The same with the counts of states and the verdict as the last line.
std::string to_table(const Verdict& verdict);

/// One test case a metric. A state that fails the check is a <failure>, INVALID an <error>.
std::string to_junit(const Verdict& verdict);

/// GitHub's workflow commands, one a metric that is not OK: ::error for what fails the check and
/// ::warning for the rest, at the line of the baseline file.
std::string to_github_annotations(const Verdict& verdict);

/// Markdown for GitHub's step summary.
std::string to_markdown(const Verdict& verdict);

/// Bencher Metric Format: numbers by case and metric, with the interval over seeds as lower_value
/// and upper_value.
std::string to_bencher(const Verdict& verdict);

/// customBiggerIsBetter (kHigher) or customSmallerIsBetter (kLower) of github-action-benchmark: the
/// metrics that are better in this direction.
std::string to_benchmark_action(const Verdict& verdict, Better direction);

nlohmann::ordered_json to_json(const Verdict& verdict);

}  // namespace cmsim::check
