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

std::string first_part(const Difference& difference, std::string_view name, const char* word) {
  const GroupMove* group = difference.group(name);
  if (group == nullptr) return "";
  const PartMove& move = group->parts.front();
  const auto [old, now] = told_apart(move.old.value_or(0), move.now.value_or(0));
  return fmt::format("{} {} {} -> {}", word, move.name, old, now);
}

/// Whose step explains a metric: "decode", "prefill", or "" when both may.
std::string role_of(const Metric& metric) {
  const auto about = [&](const char* word) {
    return metric.pointer.find(word) != std::string::npos;
  };
  if (about("prefill")) return "prefill";
  return about("decode") || about("tpot") || about("itl") ? "decode" : "";
}

}  // namespace

std::string explanation(const Difference& difference, const Metric& metric) {
  std::string text;
  const auto add = [&](const std::string& clause) {
    if (!clause.empty()) text += (text.empty() ? "" : "; ") + clause;
  };
  const std::string of = role_of(metric);
  bool in_a_step = false;
  for (const std::string role : {"decode", "prefill"}) {
    if (!of.empty() && of != role) continue;
    const std::string clause = operator_clause(difference, role);
    in_a_step = in_a_step || !clause.empty();
    if (!clause.empty()) add(plan_clause(difference, role));
    add(clause);
  }
  add(first_part(difference, kPhases, "phase"));
  if (in_a_step) return text;  // what follows from an operator explains no more
  add(first_part(difference, kParts, "part"));
  add(first_part(difference, kLinks, "link"));
  add(first_part(difference, kQueues, "queue"));
  return text;
}

}  // namespace cmsim::check
