// What differs between two results, and which parts of the breakdown moved.
//
// Only what differs in 12 significant digits is in it. A share is a part's move over the sum of the
// absolute moves of its group (of the relative moves where a group has several units): it has the
// sign of the move, and the shares of a group add up to 1 in absolute value. Parts are sorted by
// it, largest first.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cmsim/check/figures.hpp"

namespace cmsim::check {

/// Old and new value as text; "" where a result does not have the setting.
struct SettingMove {
  std::string name, old, now;
};

/// Values as in the results; null where one has no such metric.
struct MetricMove {
  Metric metric;
  nlohmann::json old, now;

  /// Now - old; nothing unless both are numbers or truths (1 and 0).
  std::optional<double> absolute() const;
  /// (Now - old) / |old|; nothing also when old is 0.
  std::optional<double> relative() const;
  /// Whether it moved to the worse, in a direction that is known.
  bool worse() const;
};

struct PartMove {
  std::string name;
  std::optional<double> old, now;  // nothing where a result does not have the part
  double share = 0;

  double moved() const { return now.value_or(0) - old.value_or(0); }
};

struct GroupMove {
  std::string name;
  double old = 0, now = 0;  // sums of all parts, also of those that did not move
  std::vector<PartMove> parts;
};

struct Difference {
  Kind kind = Kind::kRun;
  std::vector<SettingMove> settings;
  std::vector<MetricMove> metrics;  // also those that did not move, in the order asked for
  std::vector<GroupMove> groups;

  const GroupMove* group(std::string_view name) const;
};

/// Of the given metrics and of every group. Both figures are of one kind.
Difference difference_of(const Figures& old, const Figures& now, std::span<const Metric> metrics);

/// The part of the breakdown behind the move of a metric in one line: the operator that moved the
/// step of its role most, and the phase; where no step moved, or one that moved the other way than
/// the metric did, the link and the queue. "" when no part moved.
std::string explanation(const Difference& difference, const Metric& metric);

nlohmann::ordered_json to_json(const Difference& difference);

}  // namespace cmsim::check
