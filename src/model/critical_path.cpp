#include "critical_path.hpp"

namespace cmsim::model {

std::vector<std::pair<std::string, Seconds>> critical_path(const std::vector<StepSlice>& slices) {
  std::vector<std::pair<std::string, Seconds>> path;
  const auto add = [&](const std::string& name, Seconds time) {
    for (auto& [known, total] : path) {
      if (known == name) {
        total += time;
        return;
      }
    }
    path.emplace_back(name, time);
  };
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
    add(slice.name, slice.duration);
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
    if (before < slices.size() && slice.start - end > kSlack) add("(waiting)", slice.start - end);
    at = before;
  }
  return path;
}

}  // namespace cmsim::model
