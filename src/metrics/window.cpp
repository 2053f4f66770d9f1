#include "cmsim/metrics/window.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "cmsim/metrics/phases.hpp"

namespace cmsim::metrics {
namespace {

using serve::RequestRecord;

constexpr std::size_t kBatch = 5;
constexpr std::size_t kFewestBins = 50;

/// Seconds in the system of the requests that came and went: mean and 99th percentile.
struct Residence {
  Seconds mean = 0, p99 = 0;
};

Residence residence_of(const Records& records) {
  std::vector<double> times;
  for (const RequestRecord& r : records) {
    if (r.outcome == serve::Outcome::kFinished && r.initial_tokens == 0) times.push_back(e2e(r));
  }
  const Distribution all = summarize(std::move(times));
  return {all.mean, all.p99};
}

/// Bins of the longest warm-up of the three series; nothing when one of them never settles.
std::optional<std::size_t> warm_up(const Timeline& timeline, std::size_t bins) {
  using Sum = std::vector<Level>;
  const Sum series[] = {{Level::kPrefillWaiting, Level::kPrefillRunning},
                        {Level::kDecodeWaiting, Level::kDecodeRunning},
                        {Level::kKvReserved}};
  std::size_t longest = 0;
  std::vector<double> values(bins);
  for (const Sum& levels : series) {
    for (std::size_t i = 0; i < bins; ++i) {
      values[i] = 0;
      for (const Level level : levels) values[i] += timeline.bin(i).integral_of(level);
    }
    const auto deleted = mser5(values);
    if (!deleted) return std::nullopt;
    longest = std::max(longest, *deleted);
  }
  return longest;
}

}  // namespace

const char* to_string(WindowRule rule) {
  switch (rule) {
    case WindowRule::kMser5:
      return "mser5";
    case WindowRule::kSet:
      return "set";
    case WindowRule::kStationaryStart:
      return "stationary_start";
    case WindowRule::kWholeRun:
      return "whole_run";
  }
  return "";
}

std::optional<std::size_t> mser5(std::span<const double> series) {
  if (series.size() < kFewestBins) return std::nullopt;
  std::vector<double> means(series.size() / kBatch);
  for (std::size_t i = 0; i < means.size(); ++i) {
    const auto batch = series.subspan(i * kBatch, kBatch);
    means[i] = std::accumulate(batch.begin(), batch.end(), 0.0) / kBatch;
  }
  // Sums from the end, about the last half's mean so that a constant series has no spread.
  const double shift =
      std::accumulate(means.begin() + static_cast<long>(means.size() / 2), means.end(), 0.0) /
      static_cast<double>(means.size() - means.size() / 2);
  double sum = 0, squares = 0, best = INFINITY;
  std::size_t deleted = means.size();
  for (std::size_t i = means.size(); i-- > 0;) {
    sum += means[i] - shift;
    squares += (means[i] - shift) * (means[i] - shift);
    const auto left = static_cast<double>(means.size() - i);
    if (left < 5) continue;  // a few alike at the very end prove nothing
    const double error = std::max(0.0, squares - sum * sum / left) / (left * left);
    if (error <= best) {
      best = error;
      deleted = i;
    }
  }
  if (deleted > means.size() / 2) return std::nullopt;
  return deleted * kBatch;
}

bool Cohort::has(const RequestRecord& record) const {
  const Seconds sent =
      record.initial_tokens > 0 ? -std::numeric_limits<double>::infinity() : record.sent;
  return sent >= from && sent < to;
}

Cohort Window::cohort() const {
  if (rule == WindowRule::kWholeRun) return {};
  return {from, from + length() / 2};
}

Window find_window(const Timeline& timeline, const Records& records, Seconds run_end,
                   const WindowSpec& spec) {
  const Seconds begin = timeline.begin();
  const Seconds last_send = last_open_send(records, begin);
  Window window;
  window.from = begin;
  window.to = run_end;
  const std::size_t bins = timeline.bin_at(last_send) + 1;
  if (bins < kFewestBins) {
    window.why_not = "arrivals end within the first 20th of the run";
    return window;
  }
  const Residence residence = residence_of(records);
  window.to = std::min(run_end, timeline.start_of(bins));
  window.steady = true;
  if (spec.warmup) {
    window.rule = WindowRule::kSet;
    window.from = timeline.start_of(
        std::min(timeline.bin_at(begin + *spec.warmup + timeline.bin_width() / 2), bins - 1));
  } else if (spec.stationary_start) {
    window.rule = WindowRule::kStationaryStart;
  } else {
    window.rule = WindowRule::kMser5;
    const auto deleted = warm_up(timeline, bins);
    window.from = timeline.start_of(deleted.value_or(bins / 2));
    if (!deleted) {
      window.steady = false;
      window.needed = 2 * std::max(residence.p99, last_send - begin);
      window.why_not = "the system still fills or drains when arrivals end";
    }
  }
  if (window.steady && window.length() < residence.mean) {
    window.steady = false;
    window.needed = window.from - begin + residence.mean;
    window.why_not =
        fmt::format("the window of {:.4g} s is shorter than a request is in the system ({:.4g} s)",
                    window.length(), residence.mean);
  }
  return window;
}

Window with_load(Window window, Load load) {
  if (window.steady || (load != Load::kOverloaded && load != Load::kSaturated)) return window;
  window.needed = kNoSample;
  window.why_not += fmt::format("; {}: no length would do", to_string(load));
  return window;
}

}  // namespace cmsim::metrics
