#include "cmsim/serve/cache_tiers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <utility>

#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {
namespace {

ContextCache::Worth worth_by(const Policies& policies) {
  return [&policies](const CacheEvictionView& view) {
    const double decided = call_policy<CacheEviction>(policies, view);
    if (!std::isfinite(decided)) {
      refuse<CacheEviction>(policies, view, fmt::format("said that it is worth {}", decided));
    }
    return decided;
  };
}

/// Deals them in turn, to as many flows as there may be.
template <class Block>
std::vector<std::vector<Block>> deal(std::span<const Block> blocks) {
  std::vector<std::vector<Block>> flows(
      std::min(blocks.size(), static_cast<std::size_t>(kFlowsPerRequest)));
  for (std::size_t i = 0; i < blocks.size(); ++i) flows[i % flows.size()].push_back(blocks[i]);
  return flows;
}

}  // namespace

CacheTiers::CacheTiers(ClusterState& state, const Policies& policies, SsdVolumes& volumes,
                       const std::vector<std::int32_t>& cpus, const Capacity& capacity,
                       Callback changed)
    : state_(state),
      policies_(policies),
      volumes_(volumes),
      cpus_(cpus),
      changed_(std::move(changed)),
      dram_(capacity.dram, worth_by(policies)),
      ssd_(capacity.ssd, worth_by(policies), CacheTier::kSsd) {}

CacheTier CacheTiers::find(BlockId block) const {
  if (dram_.contains(block)) return CacheTier::kDram;
  return ssd_.size() > 0 && ssd_.contains(block) ? CacheTier::kSsd : CacheTier::kNowhere;
}

std::int32_t CacheTiers::holder(BlockId block) const {
  return cpus_[static_cast<std::size_t>(
      cpu_of_block(block, static_cast<std::int32_t>(cpus_.size())))];
}

std::int32_t CacheTiers::volume(BlockId block) const {
  const auto cpus = static_cast<std::int32_t>(cpus_.size());
  return cpus_[static_cast<std::size_t>((cpu_of_block(block, cpus) + cpus / 2) % cpus)];
}

CacheTier CacheTiers::decide(CacheOccasion occasion, const Part& part, std::int64_t uses) const {
  const CachePlacementView view{state_.now(),
                                occasion,
                                part.block,
                                uses,
                                part.use.tokens_before,
                                part.use.tokens,
                                {dram_.size(), dram_.capacity()},
                                {ssd_.size(), ssd_.capacity()}};
  const CacheTier tier = call_policy<CachePlacement>(policies_, view);
  const bool again = tier == CacheTier::kDram && occasion == CacheOccasion::kEvicted;
  if (again || tier < CacheTier::kNowhere || tier > CacheTier::kSsd) {
    refuse<CachePlacement>(policies_, view, fmt::format("chose tier {}", static_cast<int>(tier)));
  }
  return tier == CacheTier::kSsd && !has_ssd() ? CacheTier::kNowhere : tier;
}

CacheTier CacheTiers::place(const Part& part) const {
  return decide(CacheOccasion::kStored, part, 1);
}

void CacheTiers::use(const Part& part) {
  if (dram_.contains(part.block)) {
    dram_.touch(part.block, part.use);
  } else {
    ssd_.touch(part.block, part.use);
  }
}

void CacheTiers::touch(const Part& part) {
  use(part);
  if (prefetched_.erase(part.block) > 0) ++counts_.prefetch_used;
}

void CacheTiers::store(std::span<const Part> parts, std::span<const CacheTier> tiers) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (find(parts[i].block) != CacheTier::kNowhere) {
      use(parts[i]);
    } else if (tiers[i] == CacheTier::kDram) {
      keep_in_dram(parts[i], 0);
    } else if (tiers[i] == CacheTier::kSsd) {
      outgoing_.push_back({parts[i], 1, false});
    }
  }
  write_out();
}

void CacheTiers::keep_in_dram(const Part& part, std::int64_t uses_before) {
  if (dram_.capacity() == 0) {
    give_up({part.block, uses_before + 1, part.use.tokens_before, part.use.tokens});
    return;
  }
  const auto gone = dram_.insert(part.block, part.use, uses_before);
  if (gone) give_up(*gone);
}

void CacheTiers::give_up(const ContextCache::Resident& gone) {
  if (prefetched_.erase(gone.block) > 0) ++counts_.prefetch_wasted;
  if (!has_ssd()) return;
  const Part part{gone.block, {state_.now(), gone.tokens_before, gone.tokens}};
  if (decide(CacheOccasion::kEvicted, part, gone.uses) != CacheTier::kSsd) return;
  if (ssd_.contains(gone.block)) {
    ssd_.insert(gone.block, part.use, gone.uses - 1);
  } else {
    outgoing_.push_back({part, gone.uses, true});
  }
}

void CacheTiers::write_out() {
  for (std::vector<Outgoing>& blocks : deal(std::span<const Outgoing>(outgoing_))) {
    Bytes bytes = 0;
    for (const Outgoing& block : blocks) bytes += bytes_of(block.part);
    const BlockId first = blocks.front().part.block;
    volumes_.write(volume(first), holder(first), bytes,
                   [this, written = std::move(blocks)] { finish_write(written); });
  }
  outgoing_.clear();
}

void CacheTiers::finish_write(const std::vector<Outgoing>& blocks) {
  for (const Outgoing& block : blocks) {
    ssd_.insert(block.part.block, block.part.use, block.uses - 1);
    ++(block.demoted ? counts_.demoted : counts_.placed);
  }
  changed_();
}

void CacheTiers::fetch(std::span<const Part> parts, Callback done) {
  std::vector<Part> missing;
  for (const Part& part : parts) {
    const std::int64_t uses = ssd_.uses(part.block);
    const bool stays = decide(CacheOccasion::kFound, part, uses) == CacheTier::kDram;
    const auto [coming, is_new] = coming_.try_emplace(part.block);
    if (is_new) missing.push_back(part);
    coming->second.uses = uses;
    coming->second.stays = coming->second.stays || stays;
  }
  bring(missing);
  std::vector<std::int64_t> flows;
  for (const Part& part : parts) flows.push_back(coming_.at(part.block).flow);
  std::ranges::sort(flows);
  flows.erase(std::unique(flows.begin(), flows.end()), flows.end());
  const auto one_done = [left = std::make_shared<std::size_t>(flows.size()),
                         done = std::move(done)] {
    if (--*left == 0) done();
  };
  for (const std::int64_t flow : flows) flows_.at(flow).waiting.push_back(one_done);
}

void CacheTiers::prefetch(std::span<const Part> parts) {
  std::vector<Part> missing;
  for (const Part& part : parts) {
    if (!coming_.try_emplace(part.block, Coming{0, ssd_.uses(part.block), true}).second) continue;
    missing.push_back(part);
    prefetched_.insert(part.block);
    ++counts_.prefetched;
  }
  bring(missing);
}

void CacheTiers::bring(std::span<const Part> parts) {
  for (std::vector<Part>& of_flow : deal(parts)) {
    const std::int64_t number = ++last_flow_;
    Bytes bytes = 0;
    for (const Part& part : of_flow) {
      coming_.at(part.block).flow = number;
      bytes += bytes_of(part);
    }
    const BlockId first = of_flow.front().block;
    flows_.emplace(number, Flow{std::move(of_flow), {}});
    volumes_.read(volume(first), holder(first), bytes, [this, number] { finish_read(number); });
  }
}

void CacheTiers::finish_read(std::int64_t number) {
  const Flow flow = std::move(flows_.extract(number).mapped());
  for (const Part& part : flow.parts) {
    const Coming coming = coming_.extract(part.block).mapped();
    if (!coming.stays || dram_.capacity() == 0 || dram_.contains(part.block)) continue;
    ++counts_.promoted;
    keep_in_dram({part.block, {state_.now(), part.use.tokens_before, part.use.tokens}},
                 coming.uses - 1);
  }
  write_out();
  changed_();
  for (const Callback& done : flow.waiting) done();
}

SsdCounts CacheTiers::counts() const {
  SsdCounts counts = counts_;
  counts.stored = ssd_.size();
  counts.evicted = ssd_.evicted();
  return counts;
}

}  // namespace cmsim::serve
