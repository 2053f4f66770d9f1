// The rank with the hottest experts of each layer, remembered: internal to DecodePipeline.
//
// A table is a pure function of its key, so keeping it changes no result. At low load nearly every
// step finds its own; the number kept is bounded, and all are dropped when it is reached.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <vector>

#include "cmsim/base/units.hpp"

namespace cmsim::model {

/// What all other ranks wait for in a layer.
struct BusiestRank {
  double rows = 0;
  Seconds port = 0;  // dispatch, as its port allows
  Seconds mlp = 0, combine = 0;
};
struct BusiestRanks {
  std::vector<BusiestRank> by_layer;  // MoE, then MTP
  int median_layer = -1;  // of the MoE layers that with the median rows; -1: there is none
};

class BusiestRankTables {
 public:
  struct Key {
    int microbatches = 0, attention_aic = 0, attention_aiv = 0;  // the plan
    double tokens = 0;                                           // of a microbatch, all ranks
    double max_tokens = 0;                                       // of the rank with the most
    double sequence_tokens = 0;  // of those, how many are routed alike
    auto operator<=>(const Key&) const = default;
  };

  /// The table of the key, made by `make` when it is not there.
  template <class Make>
  std::shared_ptr<const BusiestRanks> get(const Key& key, const Make& make) {
    const auto found = tables_.find(key);
    if (found != tables_.end()) return found->second;
    if (tables_.size() == kMost) tables_.clear();
    return tables_.emplace(key, std::make_shared<const BusiestRanks>(make())).first->second;
  }

 private:
  static constexpr std::size_t kMost = 4096;  // some 1.5 kB each with 59 layers
  std::map<Key, std::shared_ptr<const BusiestRanks>> tables_;
};

}  // namespace cmsim::model
