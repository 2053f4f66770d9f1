// How many experts of a rank get a row: internal to ExpertLoad.
//
// A slot with m expected rows gets one with probability 1 - exp(-m), slots as if independent. The
// rank with the most is that of so many normal variables, whose mean and deviation are those of the
// ranks that hold equally many slots.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "cmsim/model/expert_load.hpp"

namespace cmsim::model {

/// Expected maximum of `count` standard normal variables.
double expected_normal_maximum(int count);

class ActiveCount {
 public:
  explicit ActiveCount(const ExpertLayout& layout);

  /// `shares`: of the routed rows, by slot in order of the ranks; `rows`: of all slots together.
  ActiveExperts of(std::span<const double> shares, double rows) const;

 private:
  struct Kind {  // ranks that hold the same
    int slots = 0, shared = 0;
    int ranks = 0;
    double above = 0;  // of the rank with the most, in deviations above the mean
  };
  std::vector<Kind> kinds_;
  std::vector<std::size_t> kind_of_rank_;
};

}  // namespace cmsim::model
