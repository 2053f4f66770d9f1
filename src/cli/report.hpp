// A result as a table for people.
#pragma once

#include <string>
#include <vector>

#include "cmsim/metrics/result.hpp"
#include "terminal.hpp"

namespace cmsim::cli {

/// Lines ending in '\n'; escape codes only when `paint` says so.
std::string format_report(const metrics::Result& result, Paint paint);

/// "the scenario's resample, population, said of its own trace", of keys below /workload.
std::string retired_text(const std::vector<std::string>& keys);

}  // namespace cmsim::cli
