// How busy the instances of a role were since somebody last looked. Internal to serve/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "cmsim/base/units.hpp"

namespace cmsim::serve {

class BusyTime {
 public:
  /// An iteration has ended.
  void add(Seconds start, Seconds end) { busy_ += end - std::max(start, looked_); }
  /// Share of the time since the last look, mean over `instances`.
  double look(Seconds now, std::size_t instances) {
    const Seconds since = now - std::exchange(looked_, now), busy = std::exchange(busy_, 0);
    return since > 0 && instances > 0 ? busy / (since * static_cast<double>(instances)) : 0;
  }

 private:
  Seconds busy_ = 0, looked_ = 0;
};

}  // namespace cmsim::serve
