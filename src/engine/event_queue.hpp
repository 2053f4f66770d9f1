// Events ordered by (time, priority, sequence). Plain entries in a binary heap; the callbacks stay
// put in a slab beside it, so that sifting moves 24 bytes. Time in seconds. An event taken out
// leaves a dead entry in the heap: one whose place has another number by now. Invariant: the top of
// the heap is alive, and at most half of the entries are dead.
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

  coll::EventId push(Seconds time, coll::Priority priority, Callback callback) {
    const std::uint64_t order = (static_cast<std::uint64_t>(priority) << 56) | next_sequence_++;
    std::uint32_t slot;
    if (free_slots_.empty()) {
      slot = static_cast<std::uint32_t>(slots_.size());
      slots_.push_back({std::move(callback), order});
    } else {
      slot = free_slots_.back();
      free_slots_.pop_back();
      slots_[slot] = {std::move(callback), order};
    }
    heap_.push_back({time, order, slot});
    std::push_heap(heap_.begin(), heap_.end(), later);
    return {slot, order};
  }

  Callback pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const std::uint32_t slot = heap_.back().slot;
    heap_.pop_back();
    Callback callback = empty_slot(slot);
    if (dead_ > 0) drop_dead();
    return callback;
  }

  /// Takes an event out of its turn; null when it is not there any more.
  Callback take(coll::EventId event) {
    if (event.place >= slots_.size() || slots_[event.place].order != event.number) return nullptr;
    if (event.number == 0) return nullptr;
    Callback callback = empty_slot(event.place);
    ++dead_;
    drop_dead();
    return callback;
  }

  void clear() {
    heap_.clear();
    slots_.clear();
    free_slots_.clear();
    dead_ = 0;
  }

 private:
  struct Entry {
    Seconds time;
    std::uint64_t order;  // priority above, sequence below
    std::uint32_t slot;
  };
  struct Slot {
    Callback callback;
    std::uint64_t order = 0;  // 0: empty
  };
  bool is_dead(const Entry& entry) const { return slots_[entry.slot].order != entry.order; }
  Callback empty_slot(std::uint32_t slot) {
    free_slots_.push_back(slot);
    slots_[slot].order = 0;
    return std::exchange(slots_[slot].callback, nullptr);
  }
  void drop_dead() {
    if (dead_ * 2 > heap_.size()) {
      std::erase_if(heap_, [this](const Entry& entry) { return is_dead(entry); });
      std::make_heap(heap_.begin(), heap_.end(), later);
      dead_ = 0;
    }
    while (dead_ > 0 && is_dead(heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      heap_.pop_back();
      --dead_;
    }
  }
  static bool later(const Entry& a, const Entry& b) {
    return a.time > b.time || (a.time == b.time && a.order > b.order);
  }

  std::vector<Entry> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::size_t dead_ = 0;
  std::uint64_t next_sequence_ = 1;  // 0 names nothing
};

}  // namespace cmsim::engine
