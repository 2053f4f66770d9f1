#include "cmsim/check/difference_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cmsim/base/utf8.hpp"
#include "numbers.hpp"
#include "shown.hpp"

namespace cmsim::check {
namespace {

constexpr std::size_t kMostRows = 8;                      // of a group
constexpr double kSmallestShare = 0.01;                   // of a group that is worth a row
constexpr std::size_t kNameWidth = 44, kValueWidth = 25;  // of a setting

std::string setting_rows(const std::vector<SettingMove>& moves) {
  if (moves.empty()) return "What differs  nothing that the results tell\n";
  std::string text = fmt::format("{:<46}{:<26}{}\n", "What differs", "old", "new");
  for (const SettingMove& move : moves) {
    const auto text_of = [](const std::string& value) {
      return value.empty() ? "-" : cut(printable(value), kValueWidth);
    };
    text += fmt::format("  {:<44}{:<26}{}\n", cut(printable(move.name), kNameWidth - 1),
                        text_of(move.old), text_of(move.now));
  }
  return text;
}

std::string metric_row(const MetricMove& move) {
  const Shown row = shown(move);
  return fmt::format("  {:<40} {:>14} {:>14} {:>11}{}\n", cut(row.name, 40), row.old, row.now,
                     row.change, move.worse() ? "  worse" : "");
}

/// Relative change of a part in a group that may not hold it.
std::string change_in(const GroupMove* group, const std::string& name) {
  if (group == nullptr) return "";
  const auto found = std::ranges::find(group->parts, name, &PartMove::name);
  if (found == group->parts.end()) return "";
  if (!found->old || !found->now || *found->old == 0) return "moved";
  return signed_percent(found->moved() / std::fabs(*found->old));
}

std::string signed_figure(double value) { return (value > 0 ? "+" : "") + grouped(value, 4); }

std::string row(const std::string& name, const std::string& old, const std::string& now,
                const std::string& moved, const std::string& share) {
  return fmt::format("{:<26} {:>12} {:>12} {:>11} {:>8}", name, old, now, moved, share);
}

std::string part_row(const PartMove& part) {
  const auto [old, now] = told_apart(part.old.value_or(0), part.now.value_or(0));
  return row("  " + cut(printable(part.name), 24), part.old ? old : "-", part.now ? now : "-",
             signed_figure(part.moved()), fmt::format("{:+.0f} %", part.share * 100));
}

/// The role of a critical path, or "".
std::string role_of(const std::string& group) {
  const std::size_t end = group.find(kCriticalPath);
  return end == std::string::npos ? "" : group.substr(0, end);
}

std::string group_rows(const Difference& difference, const GroupMove& group) {
  const std::string role = role_of(group.name);
  const GroupMove* alone = difference.group(role + std::string(kAlone));
  const GroupMove* in_place = difference.group(role + std::string(kInPlace));
  std::string text = "\n" + row(group.name, "old", "new", "moved", "share");
  text += role.empty() ? "\n" : fmt::format(" {:>10} {:>10}\n", "alone", "in place");
  std::size_t rows = 0;
  for (const PartMove& part : group.parts) {
    if (rows == kMostRows || (rows > 0 && std::fabs(part.share) < kSmallestShare)) break;
    ++rows;
    text += part_row(part);
    if (!role.empty()) {
      text += fmt::format(" {:>10} {:>10}", change_in(alone, part.name),
                          change_in(in_place, part.name));
    }
    text += "\n";
  }
  if (rows < group.parts.size()) {
    text += fmt::format("  ({} more moved less)\n", group.parts.size() - rows);
  }
  if (!adds_up(group.name)) return text;
  const auto [old, now] = told_apart(group.old, group.now);
  return text + row("  in all", old, now, signed_figure(group.now - group.old), "") + "\n";
}

/// A line that ends in spaces ends before them.
std::string trimmed(const std::string& text) {
  std::string result;
  std::size_t spaces = 0;
  for (const char c : text) {
    if (c == ' ') {
      ++spaces;
      continue;
    }
    if (c != '\n') result.append(spaces, ' ');
    spaces = 0;
    result += c;
  }
  return result;
}

}  // namespace

std::string explanation_text(const Difference& difference, Groups which) {
  std::string text;
  for (const GroupMove& group : difference.groups) {
    if (which == Groups::kSums && !adds_up(group.name)) continue;
    // What a critical path shows beside its parts has no table of its own.
    const bool beside = group.name.ends_with(kAlone) || group.name.ends_with(kInPlace);
    const std::size_t at = group.name.find(" operators");
    if (beside && difference.group(group.name.substr(0, at) + std::string(kCriticalPath))) continue;
    text += group_rows(difference, group);
  }
  return trimmed(text);
}

std::string difference_text(const Difference& difference) {
  std::string text = setting_rows(difference.settings);
  text += fmt::format("\n{:<42} {:>14} {:>14} {:>11}\n", "What moved", "old", "new", "change");
  for (const MetricMove& move : difference.metrics) text += metric_row(move);
  const std::string parts = explanation_text(difference, Groups::kAll);
  return text + (parts.empty() ? "\nNo part of the breakdown moved.\n" : parts);
}

}  // namespace cmsim::check
