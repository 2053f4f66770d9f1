#include <fmt/format.h>

#include <functional>

#include "cmsim/base/utf8.hpp"
#include "cmsim/check/difference_text.hpp"
#include "cmsim/check/formats.hpp"
#include "shown.hpp"

namespace cmsim::check {
namespace {

std::string metric_rows(const CaseVerdict& made) {
  std::string text, last;
  for (const MetricVerdict& metric : made.metrics) {
    if (metric.state == State::kOk) continue;
    const Shown row = shown(metric.move);
    text += fmt::format("  {:<36} {:>14} {:>14} {:>11}  {}\n", cut(row.name, 36), row.old, row.now,
                        row.change, to_string(metric.state));
    if (metric.state == State::kRegressed) text += fmt::format("    allowed: {}\n", metric.rule);
    if (!metric.because.empty() && metric.because != last) {
      text += fmt::format("    {}\n", printable(metric.because));
    }
    last = metric.because;
  }
  return text;
}

std::string case_rows(const CaseVerdict& made) {
  std::string text = fmt::format("{:<10} {}", to_string(made.state), printable(made.name));
  if (!made.problem.empty()) return text + fmt::format("\n  {}\n", printable(made.problem));
  text += fmt::format(" ({} metric{})\n", made.metrics.size(), made.metrics.size() == 1 ? "" : "s");
  if (made.state == State::kOk) return text;
  text += metric_rows(made);
  for (const SettingMove& move : made.difference.settings) {
    text +=
        fmt::format("  with {} {} -> {}\n", move.name, printable(move.old), printable(move.now));
  }
  const std::string steps = explanation_text(made.difference, Groups::kSums);
  return text + (steps.empty() ? "" : steps + "\n");
}

/// "3 metrics OK, 1 MISSING"; "" when there are none.
std::string counts(const char* noun, const std::function<std::size_t(State)>& count) {
  std::string text;
  for (const State state :
       {State::kOk, State::kChanged, State::kRegressed, State::kMissing, State::kInvalid}) {
    const std::size_t found = count(state);
    if (found == 0) continue;
    const std::string what = fmt::format(" {}{}", noun, found == 1 ? "" : "s");
    text += fmt::format("{}{}{} {}", text.empty() ? "" : ", ", found, text.empty() ? what : "",
                        to_string(state));
  }
  return text;
}

}  // namespace

std::string moves_table(const Verdict& verdict) {
  std::string text = verdict.title + "\n\n";
  for (const CaseVerdict& made : verdict.cases) text += case_rows(made);
  return text;
}

std::string to_table(const Verdict& verdict) {
  std::string text = moves_table(verdict);
  if (!text.ends_with("\n\n")) text += "\n";
  const std::string metrics = counts("metric", [&](State state) { return verdict.metrics(state); });
  const std::string cases =
      counts("case", [&](State state) { return verdict.cases_without_metrics(state); });
  text += metrics + (metrics.empty() || cases.empty() ? "" : "; ") + cases;
  return text + fmt::format(": {}\n", verdict.passed() ? "passed" : "FAILED");
}

}  // namespace cmsim::check
