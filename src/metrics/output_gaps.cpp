#include "cmsim/metrics/output_gaps.hpp"

#include <algorithm>

namespace cmsim::metrics {

OutputGaps::OutputGaps(const Result& result) {
  for (const Iteration& step : result.steps) {
    const auto instance = static_cast<std::size_t>(step.instance);
    if (instance >= ends_.size()) ends_.resize(instance + 1);
    ends_[instance].push_back(step.end);
  }
}

std::vector<Seconds> OutputGaps::of(const serve::RequestRecord& record) const {
  std::vector<Seconds> gaps;
  const auto instance = static_cast<std::size_t>(record.decode_instance);
  if (record.decode_start < 0 || instance >= ends_.size()) return gaps;
  Seconds previous = record.first_token;
  for (auto end = std::ranges::upper_bound(ends_[instance], record.first_token);
       end != ends_[instance].end() && *end <= record.finished; ++end) {
    gaps.push_back(*end - previous);
    previous = *end;
  }
  return gaps;
}

}  // namespace cmsim::metrics
