#include "cmsim/check/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "numbers.hpp"

namespace cmsim::check {
namespace {

using nlohmann::json;

bool regressed(const Expectation& expectation, const json& old, const json& now) {
  const json from = expectation.reference ? json(*expectation.reference) : old;
  if (same(from, now)) return false;
  const MetricMove move{expectation.metric, from, now};
  const auto moved = move.absolute();
  if (!moved) return true;
  if (expectation.metric.better != Better::kUnknown && !move.worse()) return false;
  const double base = from.is_number() ? std::fabs(from.get<double>()) : 0;
  return std::fabs(*moved) > expectation.relative * base &&
         std::fabs(*moved) > expectation.absolute;
}

std::string rule_of(const Expectation& expectation) {
  const char* sign = expectation.metric.better == Better::kHigher  ? "-"
                     : expectation.metric.better == Better::kLower ? "+"
                                                                   : "+-";
  std::string text;
  if (expectation.relative > 0) text = fmt::format("{}{:g} %", sign, expectation.relative * 100);
  if (expectation.absolute > 0) {
    text += fmt::format("{}{}{:g}{}{}", text.empty() ? "" : " or ", sign, expectation.absolute,
                        expectation.metric.unit.empty() ? "" : " ", expectation.metric.unit);
  }
  if (text.empty()) text = "no move to the worse";
  if (expectation.metric.better == Better::kUnknown && text == "no move to the worse") {
    text = "no move";
  }
  if (expectation.reference) text += " from " + grouped(*expectation.reference, 6);
  return text;
}

State state_of(const Expectation& expectation, const CaseRun& old, const CaseRun& now) {
  const std::string& name = expectation.metric.name;
  const auto before = old.figures->metrics.find(name), after = now.figures->metrics.find(name);
  if (before == old.figures->metrics.end() || after == now.figures->metrics.end()) {
    return State::kMissing;
  }
  if (regressed(expectation, before->second, after->second)) return State::kRegressed;
  return same(before->second, after->second) ? State::kOk : State::kChanged;
}

std::vector<Metric> metrics_of(const Case& made) {
  std::vector<Metric> metrics;
  for (const Expectation& expectation : made.expectations) metrics.push_back(expectation.metric);
  return metrics;
}

}  // namespace

std::string to_string(State state) {
  constexpr const char* kNames[] = {"OK", "CHANGED", "REGRESSED", "MISSING", "INVALID"};
  return kNames[static_cast<int>(state)];
}

CaseVerdict judge(const Case& made, const CaseRun& old, const CaseRun& now) {
  CaseVerdict verdict{made.name, State::kOk, "", {}, {}, made.where};
  if (!now.figures || !old.figures) {
    verdict.state = now.figures ? State::kMissing : State::kInvalid;
    verdict.problem = now.figures ? old.error : now.error;
    return verdict;
  }
  verdict.difference = difference_of(*old.figures, *now.figures, metrics_of(made));
  // A recording keeps few settings: what one side does not tell is no difference.
  std::erase_if(verdict.difference.settings,
                [](const SettingMove& move) { return move.old.empty() || move.now.empty(); });
  for (std::size_t i = 0; i < made.expectations.size(); ++i) {
    const Expectation& expectation = made.expectations[i];
    MetricVerdict metric{verdict.difference.metrics[i],
                         state_of(expectation, old, now),
                         rule_of(expectation),
                         "",
                         std::nullopt,
                         expectation.where};
    if (metric.state != State::kOk) {
      metric.because = explanation(verdict.difference, expectation.metric);
    }
    const auto interval = now.figures->intervals.find(expectation.metric.name);
    if (interval != now.figures->intervals.end()) metric.interval = interval->second;
    verdict.state = std::max(verdict.state, metric.state);
    verdict.metrics.push_back(std::move(metric));
  }
  return verdict;
}

bool Verdict::fails(State state) const {
  return state > State::kChanged || (state == State::kChanged && changes == Changes::kFail);
}

bool Verdict::passed() const {
  return std::ranges::none_of(cases, [&](const CaseVerdict& c) { return fails(c.state); });
}

std::size_t Verdict::metrics(State state) const {
  std::size_t count = 0;
  for (const CaseVerdict& made : cases) {
    count +=
        static_cast<std::size_t>(std::ranges::count(made.metrics, state, &MetricVerdict::state));
  }
  return count;
}

std::size_t Verdict::cases_without_metrics(State state) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      cases, [&](const CaseVerdict& made) { return made.metrics.empty() && made.state == state; }));
}

}  // namespace cmsim::check
