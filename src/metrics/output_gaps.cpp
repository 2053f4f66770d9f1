#include "cmsim/metrics/output_gaps.hpp"

#include <algorithm>

namespace cmsim::metrics {

std::vector<Seconds> output_gaps(const Result& result, const serve::RequestRecord& record) {
  std::vector<Seconds> gaps;
  if (record.decode_start < 0) return gaps;
  auto step = std::upper_bound(result.steps.begin(), result.steps.end(), record.first_token,
                               [](Seconds time, const auto& sample) { return time < sample.end; });
  Seconds previous = record.first_token;
  for (; step != result.steps.end() && step->end <= record.finished; ++step) {
    if (step->instance != record.decode_instance) continue;
    gaps.push_back(step->end - previous);
    previous = step->end;
  }
  return gaps;
}

}  // namespace cmsim::metrics
