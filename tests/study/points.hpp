// Points that cost little: twenty requests on the shipped machine.
#pragma once

#include <cstdint>

#include "cmsim/study/point.hpp"

namespace cmsim::study {

inline Point small_point(std::uint64_t seed) {
  Point point;
  point.file = CMSIM_SOURCE_DIR "/workloads/scenarios/cloudmatrix384.json";
  point.sets = {
      R"(/workload={"requests": 20, "prompt_length": 2048, "output_length": 50, "arrivals": {"kind": "poisson", "rate": 20}})"};
  point.seed = seed;
  return point;
}

}  // namespace cmsim::study
