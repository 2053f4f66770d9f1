// How an exchange loads the classes of links, which of them binds it, and what widening it would
// gain. Busy times are wire bytes / capacity, as in coll/analytic.hpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cmsim/coll/analytic.hpp"

namespace cmsim::coll {

/// All ports of a class and direction, idle ones too.
struct ClassLoad {
  LinkClass cls = 0;
  std::string cls_name;  // "die_ub"
  std::string name;      // "die_ub in"; "die_to_die" where a port joins equals
  Direction direction = Direction::kOut;
  int ports = 0;
  double mean_bytes = 0;  // payload
  Seconds mean_busy = 0;
  PortId busiest = 0;
  double busiest_bytes = 0;
  Seconds busiest_busy = 0;
};

/// The classes that carry anything, busiest first.
std::vector<ClassLoad> class_loads(const Fabric& fabric, const PortLoads& loads);

/// What wider classes, both directions of each, would do to an exchange.
struct Relief {
  struct Step {
    std::string cls;  // "die_ub": what bound before it
    double speedup =
        1;             // of the exchange with kWidening times the bandwidth of it and those before
    std::string next;  // what binds then: "uplink out"
  };
  std::string bound_by;     // "die_ub in"
  std::vector<Step> steps;  // until one of the widened binds
  double enough = 0;    // times the bandwidth of the first from which another binds; 0: none does
  std::string then_by;  // that other
};
inline constexpr double kWidening = 2;

/// nullopt when nothing is on the wire.
std::optional<Relief> relief_of(const std::vector<ClassLoad>& classes, Seconds latency);

}  // namespace cmsim::coll
