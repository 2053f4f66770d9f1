// A machine on which times are plain arithmetic, and transfers on it.
#pragma once

#include "cmsim/coll/runtime.hpp"
#include "tests/hw/machines.hpp"

namespace cmsim::engine {

/// A platform whose efficiencies are 1 and latencies 1 us, so that times are plain arithmetic.
inline hw::Platform plain() {
  hw::Platform p = hw::cloudmatrix();
  for (hw::PathSpec* path :
       {&p.ub.npu_npu_read, &p.ub.npu_npu_write, &p.ub.npu_cpu_read, &p.ub.npu_cpu_write}) {
    *path = {.inter_node_efficiency = 1,
             .intra_node_efficiency = 1,
             .inter_node_latency = 1e-6,
             .intra_node_latency = 1e-6};
  }
  return p;
}

inline coll::Transfer write(int from, int to, Bytes bytes) {
  return {hw::die(from), hw::die(to), bytes, coll::Plane::kUb, coll::Op::kWrite};
}

inline constexpr auto kIgnore = [](const coll::Outcome&) {};

}  // namespace cmsim::engine
