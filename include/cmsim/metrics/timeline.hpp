// What levels and transfers were over a run, in bins of equal width: figures of any part of it.
//
// Bins count from the first event and are 2^k s wide. When kMostBins are in use, pairs are merged:
// memory is bounded, and a run that is longer than 1,024 of the narrowest bins has at least 1,024.
// Integrals and sums are exact for parts that begin and end with a bin. O(1) an event.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "cmsim/base/units.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

enum class Level : std::uint8_t {
  kPrefillWaiting,
  kPrefillRunning,
  kDecodeWaiting,
  kDecodeRunning,
  kKvReserved,   // tokens
  kSlotsBind,    // 1 while requests wait for a decode slot,
  kKvBinds,      // ... for KV space of decode,
  kPolicyHolds,  // ... because a policy of decode holds them back
};
inline constexpr std::size_t kLevels = 8;

struct TransferSums {  // of the transfers that ended
  std::int64_t count = 0;
  double bytes = 0, seconds = 0, longest = 0;
};

/// A part of the run, or one bin of it.
struct TimelinePart {
  std::array<double, kLevels> integral{};  // level x seconds
  std::array<double, kLevels> highest{};
  std::array<TransferSums, serve::kTransferKinds> transfers;

  double integral_of(Level level) const { return integral[static_cast<std::size_t>(level)]; }
  double highest_of(Level level) const { return highest[static_cast<std::size_t>(level)]; }
  void add(const TimelinePart& other);
};

class Timeline {
 public:
  static constexpr std::size_t kMostBins = 2048;

  /// The levels from event.at on. Dates never decrease.
  void set(const serve::QueueEvent& event);
  void add(const serve::TransferEvent& event);
  /// Lets the last levels last until `at`.
  void close(Seconds at);

  Seconds begin() const { return begin_; }
  Seconds end() const { return since_; }  // what it has reached
  Seconds bin_width() const { return width_; }
  /// Bins in use; the last one may be open.
  std::size_t bins() const { return bins_.size(); }
  /// The bin that `at` lies in; one date a bin ends is the next one's.
  std::size_t bin_at(Seconds at) const;
  Seconds start_of(std::size_t bin) const { return begin_ + width_ * static_cast<double>(bin); }
  const TimelinePart& bin(std::size_t index) const { return bins_[index]; }
  /// Bins [first, last).
  TimelinePart part(std::size_t first, std::size_t last) const;

 private:
  void reach(Seconds at);
  void merge_pairs();

  Seconds begin_ = 0, since_ = 0;
  Seconds width_ = 0x1p-16;
  bool begun_ = false;
  std::array<double, kLevels> level_{};
  std::vector<TimelinePart> bins_;
};

}  // namespace cmsim::metrics
