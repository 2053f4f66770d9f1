#include "cmsim/check/difference_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cmsim/base/utf8.hpp"
#include "numbers.hpp"
#include "shown.hpp"

namespace cmsim::check {
namespace {

constexpr std::size_t kMostRows = 8;                      // of a group
constexpr double kSmallestShare = 0.01;                   // of a group that is worth a row
constexpr std::size_t kNameWidth = 44, kValueWidth = 25;  // of a setting

/// Both values in their columns; of long ones the words from the first that differs on.
std::pair<std::string, std::string> differing_parts(std::string old, std::string now) {
  if (old.empty() || now.empty() || std::max(old.size(), now.size()) <= kValueWidth) {
    return {old.empty() ? "-" : cut(old, kValueWidth), now.empty() ? "-" : cut(now, kValueWidth)};
  }
  const auto differ = std::ranges::mismatch(old, now);
  const auto alike = static_cast<std::size_t>(differ.in1 - old.begin());
  // Of a key and its number both are shown.
  std::size_t from = old.substr(0, alike).find_last_of(",/");
  from = from == std::string::npos ? 0 : old.find_first_not_of(" ", from + 1);
  if (from != std::string::npos && from > 0) {
    old = "..." + old.substr(std::min(from, old.size()));
    now = "..." + now.substr(std::min(from, now.size()));
  }
  return {cut(old, kValueWidth), cut(now, kValueWidth)};
}

std::string setting_rows(const std::vector<SettingMove>& moves) {
  if (moves.empty()) return "What differs  nothing that the results tell\n";
  std::string text = fmt::format("{:<{}}{:<{}}{}\n", "What differs", kNameWidth + 2, "old",
                                 kValueWidth + 1, "new");
  for (const SettingMove& move : moves) {
    const auto [old, now] = differing_parts(printable(move.old), printable(move.now));
    text += fmt::format("  {:<{}}{:<{}}{}\n", cut(printable(move.name), kNameWidth - 1), kNameWidth,
                        old, kValueWidth + 1, now);
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
