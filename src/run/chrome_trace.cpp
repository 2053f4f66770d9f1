#include "cmsim/run/chrome_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace cmsim::run {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t nanoseconds(Seconds seconds) { return std::llround(seconds * 1e9); }
double microseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

Json metadata(const char* what, int thread, const Json& arguments) {
  return {{"ph", "M"}, {"name", what}, {"pid", 1}, {"tid", thread}, {"args", arguments}};
}

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

  Json events = Json::array();
  events.push_back(metadata("process_name", 0,
                            {{"name", fmt::format("{} step, the pacing one of {} ranks",
                                                  to_string(report.phase), report.ranks)}}));
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    const int thread = static_cast<int>(t) + 1;
    events.push_back(metadata("thread_name", thread, {{"name", tracks[t]}}));
    events.push_back(metadata("thread_sort_index", thread, {{"sort_index", thread}}));
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
    Json arguments = Json::object();
    if (slice.layer >= 0) arguments = {{"layer", slice.layer}, {"microbatch", slice.microbatch}};
    events.push_back({{"ph", "X"},
                      {"name", slice.name},
                      {"pid", 1},
                      {"tid", t + 1},
                      {"ts", microseconds(begin)},
                      {"dur", microseconds(end - begin)},
                      {"args", std::move(arguments)}});
  }
  const Json trace{{"displayTimeUnit", "ns"}, {"traceEvents", std::move(events)}};
  return trace.dump() + "\n";
}

}  // namespace cmsim::run
