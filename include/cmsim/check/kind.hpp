// The kinds of results, and the metrics that are looked at in them (study/metric.hpp has the list).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cmsim/study/metric.hpp"

namespace cmsim::check {

using study::Better;
using study::Metric;

/// The command whose --json a result is.
enum class Kind { kRun, kStep, kCollective, kP2p };
std::string to_string(Kind kind);
std::optional<Kind> kind_named(std::string_view command);

inline std::vector<Metric> headlines(Kind kind) { return study::headlines(to_string(kind)); }

/// "higher", "lower", or "both" when neither way is better.
std::string to_string(Better better);

}  // namespace cmsim::check
