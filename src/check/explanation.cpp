#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "cmsim/check/difference.hpp"
#include "numbers.hpp"

namespace cmsim::check {
namespace {

const PartMove* part(const GroupMove* group, const std::string& name) {
  if (group == nullptr) return nullptr;
  const auto found = std::ranges::find(group->parts, name, &PartMove::name);
  return found == group->parts.end() ? nullptr : &*found;
}

std::string change(const PartMove& move) {
  if (!move.old) return "is new";
  if (!move.now) return "is gone";
  if (*move.old == 0) return fmt::format("0 -> {}", grouped(*move.now, 4));
  return signed_percent(move.moved() / std::fabs(*move.old));
}

/// The operator whose own cost changed and that moved the step most; when no cost changed, the one
/// that moved the step most, e.g. because another stream takes HBM from it.
const PartMove* operator_behind(const GroupMove* path, const GroupMove* alone) {
  if (alone == nullptr) return path == nullptr ? nullptr : &path->parts.front();
  if (path != nullptr) {
    for (const PartMove& move : path->parts) {  // largest share first
      if (part(alone, move.name) != nullptr) return part(path, move.name);
    }
  }
  return &alone->parts.front();
}

std::string operator_clause(const Difference& difference, const std::string& role) {
  const GroupMove* path = difference.group(role + std::string(kCriticalPath));
  const GroupMove* alone = difference.group(role + std::string(kAlone));
  const PartMove* culprit = operator_behind(path, alone);
  if (culprit == nullptr) return "";
  std::string text = fmt::format("{} operator {}", role, culprit->name);
  if (const PartMove* cost = part(alone, culprit->name)) text += " alone " + change(*cost);
  const PartMove* on_path = part(path, culprit->name);
  if (on_path == nullptr) return text + ", off the critical path";
  const double moved = path->now - path->old;
  return fmt::format("{}, {}{} us on the critical path, the step {}{} us", text,
                     on_path->moved() > 0 ? "+" : "", grouped(on_path->moved(), 4),
                     moved > 0 ? "+" : "", grouped(moved, 4));
}

std::string plan_clause(const Difference& difference, const std::string& role) {
  const std::string name = role + std::string(kPlan);
  const auto found = std::ranges::find(difference.settings, name, &SettingMove::name);
  if (found == difference.settings.end()) return "";
  return fmt::format("{} {} -> {}", name, found->old, found->now);
}

std::string shown(const PartMove& move, const char* word) {
  const auto [old, now] = told_apart(move.old.value_or(0), move.now.value_or(0));
  return fmt::format("{} {} {} -> {}", word, move.name, old, now);
}

std::string first_part(const Difference& difference, std::string_view name, const char* word) {
  const GroupMove* group = difference.group(name);
  return group == nullptr ? "" : shown(group->parts.front(), word);
}

/// What a metric is about, from where it lies in the result.
class Subject {
 public:
  explicit Subject(const Metric& metric) : pointer_(metric.pointer) {}

  /// Whether the step of a role can be behind it.
  bool of_role(const std::string& role) const {
    const bool prefill = is("prefill"), decode = is("decode") || is("tpot") || is("itl");
    return role == "prefill" ? prefill || !decode : decode || !prefill;
  }

  /// Whether a phase of a request is a part of it: the time per token is that of the last one.
  bool of_phase(const std::string& phase) const {
    if (is("tpot") || is("itl")) return phase == "decode";
    return phase != "decode" || !(is("ttft") || is("prefill"));
  }

 private:
  bool is(const char* word) const { return pointer_.find(word) != std::string::npos; }
  std::string pointer_;
};

std::string phase_clause(const Difference& difference, const Subject& subject) {
  const GroupMove* phases = difference.group(kPhases);
  if (phases == nullptr) return "";
  for (const PartMove& phase : phases->parts) {  // largest share first
    if (subject.of_phase(phase.name)) return shown(phase, "phase");
  }
  return "";
}

/// A step that got faster does not explain a metric that got worse, nor the other way round: its
/// operators then moved with the load.
bool explains(const Difference& difference, const std::string& role, const Metric& metric) {
  const GroupMove* path = difference.group(role + std::string(kCriticalPath));
  const auto move = std::ranges::find(difference.metrics, metric.pointer,
                                      [](const MetricMove& m) { return m.metric.pointer; });
  if (path == nullptr || move == difference.metrics.end()) return true;
  if (metric.better == Better::kUnknown || !move->absolute()) return true;
  const double worse = *move->absolute() * (metric.better == Better::kLower ? 1 : -1);
  return (path->now - path->old) * worse >= 0;
}

}  // namespace

std::string explanation(const Difference& difference, const Metric& metric) {
  std::string text;
  const auto add = [&](const std::string& clause) {
    if (!clause.empty()) text += (text.empty() ? "" : "; ") + clause;
  };
  const Subject subject(metric);
  bool in_a_step = false;
  for (const std::string role : {"decode", "prefill"}) {
    if (!subject.of_role(role) || !explains(difference, role, metric)) continue;
    const std::string clause = operator_clause(difference, role);
    if (clause.empty()) continue;
    in_a_step = true;
    add(plan_clause(difference, role));
    add(clause);
  }
  add(phase_clause(difference, subject));
  if (in_a_step) return text;  // what follows from an operator explains no more
  add(first_part(difference, kParts, "part"));
  add(first_part(difference, kLinks, "link"));
  add(first_part(difference, kQueues, "queue"));
  return text;
}

}  // namespace cmsim::check
