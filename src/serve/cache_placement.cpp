// Which tier of the context cache takes a block.
#include <deque>
#include <unordered_map>

#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

/// What both do with a block that DRAM gives up.
CacheTier demote(const CachePlacementView& view, double least_uses) {
  return static_cast<double>(view.uses) >= least_uses ? CacheTier::kSsd : CacheTier::kNowhere;
}

class DramFirst : public Policy<CachePlacement> {
 public:
  explicit DramFirst(const PolicyContext& context) : demoted_(context.parameter("demoted_uses")) {}

  CacheTier decide(const View& view) override {
    return view.occasion == CacheOccasion::kEvicted ? demote(view, demoted_) : CacheTier::kDram;
  }

 private:
  double demoted_;
};

/// A doorkeeper: what is seen once does not push out what is seen again and again.
class SecondUse : public Policy<CachePlacement> {
 public:
  explicit SecondUse(const PolicyContext& context)
      : demoted_(context.parameter("demoted_uses")),
        uses_(static_cast<std::int64_t>(context.parameter("uses"))),
        remembers_(static_cast<std::size_t>(context.parameter("remembers"))) {}

  CacheTier decide(const View& view) override {
    switch (view.occasion) {
      case CacheOccasion::kEvicted:
        return demote(view, demoted_);
      case CacheOccasion::kFound:
        return view.uses >= uses_ ? CacheTier::kDram : CacheTier::kNowhere;
      case CacheOccasion::kStored:
        break;
    }
    return sight(view.block) >= uses_ ? CacheTier::kDram : CacheTier::kSsd;
  }

 private:
  /// How often it has been about to be stored, this time included.
  std::int64_t sight(std::uint64_t block) {
    const auto [sights, is_new] = sights_.try_emplace(block, 0);
    const std::int64_t seen = ++sights->second;
    if (!is_new) return seen;
    order_.push_back(block);
    if (order_.size() > remembers_) {
      sights_.erase(order_.front());
      order_.pop_front();
    }
    return seen;
  }

  double demoted_;
  std::int64_t uses_;
  std::size_t remembers_;
  std::unordered_map<std::uint64_t, std::int64_t> sights_;
  std::deque<std::uint64_t> order_;  // of first sights
};

ParameterInfo demoted_uses() {
  return {.name = "demoted_uses",
          .kind = ParameterKind::kInteger,
          .otherwise = 1,
          .minimum = 1,
          .unit = "uses",
          .help = "of a block that goes to SSD when DRAM gives it up; one of fewer is dropped"};
}

}  // namespace

void add_cache_placement(PolicyRegistry& registry) {
  registry.add<DramFirst>({"dram_first",
                           "DRAM when it is stored or found on SSD, SSD when DRAM gives it up",
                           {demoted_uses()}});
  registry.add<SecondUse>(
      {"second_use",
       "DRAM from its second use on, before that SSD where there is one",
       {{.name = "uses",
         .kind = ParameterKind::kInteger,
         .otherwise = 2,
         .minimum = 1,
         .unit = "uses",
         .help = "from which on a block goes to DRAM"},
        {.name = "remembers",
         .kind = ParameterKind::kInteger,
         .otherwise = 1e6,
         .minimum = 1,
         .unit = "blocks",
         .help = "that no tier holds and whose first use is known all the same"},
        demoted_uses()},
       "TinyLFU's doorkeeper, arXiv:1512.00727"});
}

}  // namespace cmsim::serve
