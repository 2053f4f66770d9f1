#include "cmsim/metrics/peaks.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <vector>

namespace cmsim::metrics {
namespace {

/// Amounts by second.
class BySecond {
 public:
  explicit BySecond(Seconds start) : start_(start) {}

  std::int64_t second_of(Seconds time) const {
    return static_cast<std::int64_t>(std::floor(time - start_));
  }
  void add(std::int64_t second, std::int64_t amount) {
    if (second >= 0) amounts_[second] += amount;
  }
  /// Of the sums over all seconds up to each.
  std::int64_t largest_level() const {
    std::vector<std::pair<std::int64_t, std::int64_t>> changes(amounts_.begin(), amounts_.end());
    std::sort(changes.begin(), changes.end());
    std::int64_t level = 0, most = 0;
    for (const auto& [second, change] : changes) most = std::max(most, level += change);
    return most;
  }
  std::int64_t largest() const {
    std::int64_t most = 0;
    for (const auto& [second, amount] : amounts_) most = std::max(most, amount);
    return most;
  }

 private:
  Seconds start_;
  std::unordered_map<std::int64_t, std::int64_t> amounts_;
};

}  // namespace

Peaks peaks_of(const Result& result, serve::Role role) {
  Seconds first_send = std::numeric_limits<double>::infinity();
  for (const serve::RequestRecord& r : result.records) {
    if (r.outcome == serve::Outcome::kFinished) first_send = std::min(first_send, r.sent);
  }
  if (!std::isfinite(first_send)) return {};
  BySecond tokens(first_send), changes(first_send);
  for (const serve::RequestRecord& r : result.records) {
    if (r.outcome != serve::Outcome::kFinished) continue;
    changes.add(changes.second_of(r.sent), 1);
    changes.add(changes.second_of(r.finished) + 1, -1);
    if (role == serve::Role::kPrefillOnly) tokens.add(tokens.second_of(r.first_token), 1);
  }
  for (const auto& step : result.steps) tokens.add(tokens.second_of(step.end), step.tokens);
  return {tokens.largest(), changes.largest_level()};
}

}  // namespace cmsim::metrics
