// What Perfetto asks of the complete events of a Chrome trace.
#pragma once

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace cmsim::metrics {

/// The first slice of a thread, in file order, that neither lies within the ones that are open nor
/// begins when they have ended, or one on a thread without a name; "" when there is none.
inline std::string first_misfit(const nlohmann::json& trace) {
  using Thread = std::pair<int, int>;
  std::map<Thread, std::vector<std::int64_t>> open;  // ends, ns
  std::map<Thread, std::int64_t> latest;             // begin
  for (const auto& event : trace.at("traceEvents")) {
    const Thread thread{event.at("pid"), event.at("tid")};
    if (event.at("ph") == "M" && event.at("name") == "thread_name") open[thread];
    if (event.at("ph") != "X") continue;
    if (!open.contains(thread)) return "no name of the thread of " + event.dump();
    const auto begin = std::llround(event.at("ts").get<double>() * 1e3);
    const auto end = begin + std::llround(event.at("dur").get<double>() * 1e3);
    std::vector<std::int64_t>& ends = open[thread];
    while (!ends.empty() && ends.back() <= begin) ends.pop_back();
    const bool fits =
        begin < end && begin >= latest[thread] && (ends.empty() || end <= ends.back());
    if (!fits) return event.dump();
    ends.push_back(end);
    latest[thread] = begin;
  }
  return "";
}

}  // namespace cmsim::metrics
