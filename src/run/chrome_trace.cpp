#include "cmsim/run/chrome_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cmsim/metrics/chrome_events.hpp"

namespace cmsim::run {

using metrics::nanoseconds;

namespace {

/// Tracks in the order in which they are shown.
std::vector<std::string> tracks_of(const std::vector<model::StepSlice>& slices) {
  std::vector<std::string> tracks;
  for (const model::StepSlice& slice : slices) {
    if (std::ranges::find(tracks, slice.track) == tracks.end()) tracks.push_back(slice.track);
  }
  std::ranges::sort(tracks);
  return tracks;
}

}  // namespace

std::string chrome_trace(const StepReport& report) {
  std::vector<model::StepSlice> slices = report.breakdown.slices;
  if (report.breakdown.host > 0) {
    slices.push_back({"Host", "host", 0, report.breakdown.host, -1, 0});
  }
  std::ranges::stable_sort(slices, {}, &model::StepSlice::start);
  const std::vector<std::string> tracks = tracks_of(slices);

  metrics::ChromeEvents events;
  events.name_process(
      1, fmt::format("{} step, the pacing one of {} ranks", to_string(report.phase), report.ranks));
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    events.name_thread({1, static_cast<int>(t) + 1}, tracks[t]);
  }
  const std::int64_t end_of_step = nanoseconds(report.breakdown.duration);
  std::vector<std::int64_t> free_from(tracks.size(), 0);
  for (const model::StepSlice& slice : slices) {
    const auto t =
        static_cast<std::size_t>(std::ranges::find(tracks, slice.track) - tracks.begin());
    // Rounding may not make neighbours overlap.
    const std::int64_t begin = std::max(free_from[t], nanoseconds(slice.start));
    const std::int64_t end =
        std::min(end_of_step, std::max(begin, nanoseconds(slice.start + slice.duration)));
    if (end <= begin) continue;
    free_from[t] = end;
    nlohmann::ordered_json arguments = nlohmann::ordered_json::object();
    if (slice.layer >= 0) arguments = {{"layer", slice.layer}, {"microbatch", slice.microbatch}};
    events.slice({1, static_cast<int>(t) + 1}, slice.name, begin, end, arguments);
  }
  return events.text();
}

}  // namespace cmsim::run
