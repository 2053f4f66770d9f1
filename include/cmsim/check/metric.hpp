// Which numbers of a result are told first, by the names that people use for them.
//
// The one place that knows where they lie: a name or a JSON pointer becomes a Metric here and
// nowhere else. A metric that is known by its pointer alone has no unit and no better direction.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cmsim::check {

/// What cmsim printed: the command whose --json it is.
enum class Kind { kRun, kStep, kCollective, kP2p };
std::string to_string(Kind kind);
std::optional<Kind> kind_named(std::string_view command);

/// Which way a metric gets better.
enum class Direction { kBoth, kHigher, kLower };
std::string to_string(Direction direction);

struct Metric {
  std::string name;     // "tpot", or the pointer when it has no name
  std::string pointer;  // into the result
  std::string unit;     // "" = a number without unit, a text or a truth
  Direction better = Direction::kBoth;
  std::string role;  // "decode" or "prefill": whose step explains it; "" = either
};

/// In the order in which they are shown.
std::vector<Metric> headlines(Kind kind);

/// By name, or by a pointer (begins with '/'); nothing for an unknown name and for what is no
/// pointer.
std::optional<Metric> metric_named(Kind kind, std::string_view text);

}  // namespace cmsim::check
