// What a rank takes for so many tokens of its sequences, remembered: internal to DecodePipeline.
//
// Times of operators alone, which depend on nothing but the plan, the place and the number of
// sequences: pure functions, so keeping them changes no result.
#pragma once

#include <optional>
#include <vector>

#include "cmsim/base/units.hpp"
#include "cmsim/model/decode_plan.hpp"

namespace cmsim::model {

/// Of a layer on a die.
struct TokenTimes {
  Seconds prolog = 0, mtp_prolog = 0, o_proj = 0;  // of attention; the second in an MTP module
  Seconds gate = 0, dispatch = 0, dense = 0;
};

class TokenTimesTable {
 public:
  /// Of that many sequences whose tokens are verified, made by `make` when not there.
  template <class Make>
  const TokenTimes& get(const DecodePlan& plan, std::size_t sequences, const Make& make) {
    std::vector<std::optional<TokenTimes>>& times = of_plan(plan);
    if (sequences >= times.size()) times.resize(sequences + 1);
    std::optional<TokenTimes>& found = times[sequences];
    if (!found) found = make();
    return *found;
  }

 private:
  struct OfPlan {
    DecodePlan plan;
    std::vector<std::optional<TokenTimes>> by_sequences;
  };
  std::vector<std::optional<TokenTimes>>& of_plan(const DecodePlan& plan) {
    for (OfPlan& known : plans_) {
      if (known.plan == plan) return known.by_sequences;
    }
    return plans_.emplace_back(OfPlan{plan, {}}).by_sequences;
  }
  std::vector<OfPlan> plans_;  // a few
};

}  // namespace cmsim::model
