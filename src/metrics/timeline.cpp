#include "cmsim/metrics/timeline.hpp"

#include <algorithm>
#include <cassert>

namespace cmsim::metrics {

void TimelinePart::add(const TimelinePart& other) {
  for (std::size_t i = 0; i < kLevels; ++i) {
    integral[i] += other.integral[i];
    highest[i] = std::max(highest[i], other.highest[i]);
  }
  for (std::size_t i = 0; i < serve::kTransferKinds; ++i) {
    transfers[i].count += other.transfers[i].count;
    transfers[i].bytes += other.transfers[i].bytes;
    transfers[i].seconds += other.transfers[i].seconds;
    transfers[i].longest = std::max(transfers[i].longest, other.transfers[i].longest);
  }
}

std::size_t Timeline::bin_at(Seconds at) const {
  return at > begin_ ? static_cast<std::size_t>((at - begin_) / width_) : 0;
}

void Timeline::merge_pairs() {
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    if (i % 2 == 1) {
      bins_[i / 2].add(bins_[i]);
    } else {
      bins_[i / 2] = bins_[i];
    }
  }
  bins_.resize((bins_.size() + 1) / 2);
  width_ *= 2;
}

/// Lets the levels last until `at`, the bin of which is then the last.
void Timeline::reach(Seconds at) {
  if (!begun_) {
    begun_ = true;
    begin_ = since_ = at;
    bins_.emplace_back();
  }
  assert(at >= since_);
  while ((at - begin_) / width_ >= static_cast<double>(kMostBins)) merge_pairs();
  const std::size_t last = bin_at(at);
  for (;;) {
    TimelinePart& bin = bins_.back();
    const Seconds until = bins_.size() > last ? at : start_of(bins_.size());
    for (std::size_t i = 0; i < kLevels; ++i) bin.integral[i] += level_[i] * (until - since_);
    since_ = until;
    if (bins_.size() > last) return;
    bins_.emplace_back().highest = level_;
  }
}

void Timeline::set(const serve::QueueEvent& event) {
  reach(event.at);
  using Blocked = serve::QueueEvent::Blocked;
  level_ = {static_cast<double>(event.prefill_waiting),
            static_cast<double>(event.prefill_running),
            static_cast<double>(event.decode_waiting),
            static_cast<double>(event.decode_running),
            static_cast<double>(event.decode_kv_reserved),
            event.decode_blocked == Blocked::kBySlots ? 1.0 : 0.0,
            event.decode_blocked == Blocked::kByKv ? 1.0 : 0.0,
            event.decode_blocked == Blocked::kByPolicy ? 1.0 : 0.0};
  TimelinePart& bin = bins_.back();
  for (std::size_t i = 0; i < kLevels; ++i) bin.highest[i] = std::max(bin.highest[i], level_[i]);
}

void Timeline::add(const serve::TransferEvent& event) {
  reach(event.end);
  TransferSums& sums = bins_.back().transfers[static_cast<std::size_t>(event.kind)];
  ++sums.count;
  sums.bytes += static_cast<double>(event.bytes);
  sums.seconds += event.end - event.start;
  sums.longest = std::max(sums.longest, event.end - event.start);
}

void Timeline::close(Seconds at) {
  if (begun_) reach(at);
}

TimelinePart Timeline::part(std::size_t first, std::size_t last) const {
  TimelinePart sum;
  for (std::size_t i = first; i < std::min(last, bins_.size()); ++i) sum.add(bins_[i]);
  return sum;
}

}  // namespace cmsim::metrics
