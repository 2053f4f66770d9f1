// Open-loop arrival processes. The first arrival is at 0; the gaps after it are independent with
// mean 1 / rate. Times s.
#pragma once

#include <string>

#include "cmsim/base/random.hpp"
#include "cmsim/work/workload.hpp"

namespace cmsim::work {

class ArrivalProcess {
 public:
  /// ConfigError (pointer `where`/rate and the like) unless the kind is poisson, gamma or constant
  /// and its numbers are in range.
  ArrivalProcess(const ArrivalSpec& spec, const std::string& where, RandomStream random);

  Seconds next();

 private:
  Seconds gap();

  ArrivalSpec spec_;
  RandomStream random_;
  Seconds now_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace cmsim::work
