// Events ordered by (time, priority, sequence). Plain entries in a binary heap; the callbacks stay
// put in a slab beside it, so that sifting moves 24 bytes. Time in seconds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "cmsim/coll/runtime.hpp"

namespace cmsim::engine {

class EventQueue {
 public:
  using Callback = coll::Runtime::Callback;

  bool empty() const { return heap_.empty(); }
  Seconds next_time() const { return heap_.front().time; }

  void push(Seconds time, coll::Priority priority, Callback callback) {
    std::uint32_t slot;
    if (free_slots_.empty()) {
      slot = static_cast<std::uint32_t>(callbacks_.size());
      callbacks_.push_back(std::move(callback));
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
      callbacks_[slot] = std::move(callback);
    }
    const std::uint64_t order = (static_cast<std::uint64_t>(priority) << 56) | next_sequence_++;
    heap_.push_back({time, order, slot});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }

  Callback pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const std::uint32_t slot = heap_.back().slot;
    heap_.pop_back();
    free_slots_.push_back(slot);
    return std::exchange(callbacks_[slot], nullptr);
  }

  void clear() {
    heap_.clear();
    callbacks_.clear();
    free_slots_.clear();
  }

 private:
  struct Entry {
    Seconds time;
    std::uint64_t order;  // priority above, sequence below
    std::uint32_t slot;
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.time > b.time || (a.time == b.time && a.order > b.order);
  }

  std::vector<Entry> heap_;
  std::vector<Callback> callbacks_;
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace cmsim::engine
