#include "critical_path.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>

namespace cmsim::model {
namespace {

using NamedTimes = std::vector<std::pair<std::string, Seconds>>;
constexpr Seconds kTogether = 1e-9;  // dates that are one

Seconds end_of(const StepSlice& slice) { return slice.start + slice.duration; }

bool waits_for(const StepSlice& slice, const StepSlice& other) {
  return other.microbatch == slice.microbatch || other.layer < 0 || slice.layer < 0 ||
         other.track == slice.track;
}

/// The last to end first, of those that end together the one recorded first.
std::vector<std::size_t> by_end(const std::vector<StepSlice>& slices) {
  std::vector<std::size_t> order(slices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater{},
                           [&](std::size_t i) { return end_of(slices[i]); });
  return order;
}

/// In the order in which the names come first.
class SumsByName {
 public:
  void add(std::string_view name, Seconds time) {
    const auto [place, is_new] = places_.try_emplace(name, sums_.size());
    if (is_new) sums_.emplace_back(name, 0);
    sums_[place->second].second += time;
  }
  NamedTimes take() { return std::move(sums_); }

 private:
  NamedTimes sums_;
  std::unordered_map<std::string_view, std::size_t> places_;
};

}  // namespace

NamedTimes critical_path(const std::vector<StepSlice>& slices) {
  const std::vector<std::size_t> order = by_end(slices);
  std::vector<std::pair<std::string_view, Seconds>> backwards;
  for (auto at = order.begin(); at != order.end();) {
    const StepSlice& slice = slices[*at];
    backwards.emplace_back(slice.name, slice.duration);
    const auto ended = std::ranges::partition_point(
        order, [&](std::size_t i) { return end_of(slices[i]) > slice.start + kTogether; });
    // Slices are recorded in an order that respects waiting.
    const auto before = std::find_if(
        ended, order.end(), [&](std::size_t i) { return i < *at && waits_for(slice, slices[i]); });
    if (before != order.end() && slice.start - end_of(slices[*before]) > kTogether) {
      backwards.emplace_back("(waiting)", slice.start - end_of(slices[*before]));
    }
    at = before;
  }
  SumsByName sums;
  for (auto part = backwards.rbegin(); part != backwards.rend(); ++part) {
    sums.add(part->first, part->second);
  }
  return sums.take();
}

}  // namespace cmsim::model
