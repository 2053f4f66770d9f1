// Popularity of experts that drifts: how stale a placement is by its age.
//
// The scores behind the popularity are of a first-order process: what a workload has of its own
// decays exponentially, until the placement is that of another workload. Steps of staleness are
// few, so that what hangs on them is made once for each. Units: seconds of simulated time.
// Invariant: level(0) is 0, level never falls with the age.
#pragma once

#include "cmsim/base/units.hpp"

namespace cmsim::model {

/// /experts/drift.
struct DriftOptions {
  Seconds time =
      0;            // in which what is left of the workload's own popularity falls to 1/e; 0 = none
  Seconds age = 0;  // of the placement when a run begins
  bool drifts() const { return time > 0; }
  bool operator==(const DriftOptions&) const = default;
};

class Drift {
 public:
  static constexpr int kLevels = 8;  // beside that of a placement just made: assumption

  /// `least`: the staleness of a placement that was just made.
  Drift(Seconds time, double least) : time_(time), least_(least) {}

  /// That whose way in scores is nearest: they part by the root of 1 - exp(-age / time).
  int level(Seconds age) const;
  /// Of a placement of that level: from `least` at 0 to 1 at kLevels; `least` where it is more.
  double staleness(int level) const;

 private:
  Seconds time_;
  double least_;
};

}  // namespace cmsim::model
