// A result as a table for people.
#pragma once

#include <string>

#include "cmsim/metrics/result.hpp"
#include "terminal.hpp"

namespace cmsim::cli {

/// Lines ending in '\n'; escape codes only when `paint` says so.
std::string format_report(const metrics::Result& result, Paint paint);

}  // namespace cmsim::cli
