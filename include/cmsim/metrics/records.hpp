// The records of a run, column by column.
//
// A column whose values are all alike is one value, so that what a run does not have (turns, a
// context cache, several instances) takes no memory: 96 B a request of a plain trace in place of
// the record's 200. Read front to back, some records at a time; what an iterator refers to is valid
// until it moves.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <span>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

/// A column of a member of RequestRecord. Counts of int64 are none of them above 2^31 - 1
/// (work::kMostTokens, kMostRequests).
template <auto Member>
class Column {
 public:
  using Value = std::remove_cvref_t<decltype(serve::RequestRecord{}.*Member)>;
  using Stored = std::conditional_t<std::is_same_v<Value, std::int64_t>, std::int32_t, Value>;

  /// The next of a column that has `size` and will have some `expected`.
  void push_back(Value given, std::size_t size, std::size_t expected) {
    const auto value = static_cast<Stored>(given);
    if (!each_.empty()) {
      each_.push_back(value);
    } else if (size == 0) {
      all_ = value;
    } else if (std::memcmp(&value, &all_, sizeof value) != 0) {
      each_.reserve(std::max(expected, size + 1));
      each_.assign(size, all_);
      each_.push_back(value);
    }
  }
  Value operator[](std::size_t at) const { return is_alike() ? all_ : each_[at]; }
  bool is_alike() const { return each_.empty(); }
  /// Writes those from `first` on; of a column of one value at the first time only.
  void write(std::size_t first, bool at_first, std::span<serve::RequestRecord> into) const {
    if (is_alike()) {
      if (!at_first) return;
      for (serve::RequestRecord& record : into) record.*Member = all_;
      return;
    }
    const Stored* from = each_.data() + first;
    for (serve::RequestRecord& record : into) record.*Member = *from++;
  }
  void reorder(std::span<const std::uint32_t> order) {
    if (is_alike()) return;
    std::vector<Stored> ordered(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) ordered[i] = each_[order[i]];
    each_ = std::move(ordered);
  }

 private:
  Stored all_{};
  std::vector<Stored> each_;
};

class Records {
 public:
  class Iterator;

  Records() = default;
  Records(std::initializer_list<serve::RequestRecord> records);
  Records(const std::vector<serve::RequestRecord>& records);  // NOLINT: what they are

  /// How many there will be.
  void reserve(std::size_t count) { expected_ = count; }
  void push_back(const serve::RequestRecord& record);
  void sort_by_id();

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  serve::RequestRecord operator[](std::size_t at) const;
  template <auto Member>
  auto get(std::size_t at) const {
    return std::get<Column<Member>>(columns_)[at];
  }
  Iterator begin() const;
  std::default_sentinel_t end() const { return {}; }

 private:
  using R = serve::RequestRecord;
  using Columns =
      std::tuple<Column<&R::id>, Column<&R::prompt_tokens>, Column<&R::output_tokens>,
                 Column<&R::cached_tokens>, Column<&R::ssd_tokens>, Column<&R::sent>,
                 Column<&R::cache_read_start>, Column<&R::cache_read_end>,
                 Column<&R::prefill_start>, Column<&R::prefill_end>, Column<&R::transfer_start>,
                 Column<&R::transfer_end>, Column<&R::decode_start>, Column<&R::first_token>,
                 Column<&R::finished>, Column<&R::prefill_instance>, Column<&R::decode_instance>,
                 Column<&R::decode_rank>, Column<&R::iterations>, Column<&R::preemptions>,
                 Column<&R::swaps>, Column<&R::request_class>, Column<&R::session>,
                 Column<&R::turn>, Column<&R::after>, Column<&R::think>, Column<&R::initial_tokens>,
                 Column<&R::outcome>, Column<&R::reason>>;
  void write(std::size_t first, bool at_first, std::span<R> into) const;

  std::size_t size_ = 0, expected_ = 0;
  Columns columns_;
  Column<&R::arrival> arrival_;  // kAsSent, where they are alike
};

/// Until std::default_sentinel.
class Records::Iterator {
 public:
  explicit Iterator(const Records& records) : records_(&records) { read(true); }
  const serve::RequestRecord& operator*() const { return block_[at_ % kBlock]; }
  const serve::RequestRecord* operator->() const { return &**this; }
  Iterator& operator++() {
    if (++at_ % kBlock == 0) read(false);
    return *this;
  }
  bool operator==(std::default_sentinel_t) const { return at_ == records_->size(); }

 private:
  static constexpr std::size_t kBlock = 32;
  void read(bool at_first);

  const Records* records_;
  std::size_t at_ = 0;
  std::array<serve::RequestRecord, kBlock> block_;
};

inline Records::Iterator Records::begin() const { return Iterator(*this); }

}  // namespace cmsim::metrics
