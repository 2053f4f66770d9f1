#include "critical_path.hpp"

#include <algorithm>

namespace cmsim::model {
namespace {

using NamedTimes = std::vector<std::pair<std::string, Seconds>>;

/// In the order in which the names first come.
NamedTimes summed_by_name(const NamedTimes& times) {
  NamedTimes sums;
  for (const auto& [name, time] : times) {
    const auto known = std::ranges::find(sums, name, &NamedTimes::value_type::first);
    if (known == sums.end()) {
      sums.emplace_back(name, time);
    } else {
      known->second += time;
    }
  }
  return sums;
}

}  // namespace

std::vector<std::pair<std::string, Seconds>> critical_path(const std::vector<StepSlice>& slices) {
  std::vector<std::pair<std::string, Seconds>> backwards;
  constexpr Seconds kSlack = 1e-9;
  std::size_t at = slices.size();
  Seconds latest = -1;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    if (slices[i].start + slices[i].duration > latest) {
      latest = slices[i].start + slices[i].duration;
      at = i;
    }
  }
  while (at < slices.size()) {
    const StepSlice& slice = slices[at];
    backwards.emplace_back(slice.name, slice.duration);
    std::size_t before = slices.size();
    Seconds end = -1;
    for (std::size_t i = 0; i < at; ++i) {  // slices are recorded in an order that respects waiting
      const StepSlice& other = slices[i];
      const bool related = other.track == slice.track || other.microbatch == slice.microbatch ||
                           other.layer < 0 || slice.layer < 0;
      const Seconds ended = other.start + other.duration;
      if (related && ended <= slice.start + kSlack && ended > end) {
        end = ended;
        before = i;
      }
    }
    if (before < slices.size() && slice.start - end > kSlack) {
      backwards.emplace_back("(waiting)", slice.start - end);
    }
    at = before;
  }
  return summed_by_name({backwards.rbegin(), backwards.rend()});
}

}  // namespace cmsim::model
