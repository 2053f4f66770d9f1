// The iterations of a run, in order of their ends, packed.
//
// Each is written as what differs from the one before, in as many bytes as that takes: some 25 B
// in place of 88. Read front to back only; what an iterator refers to is valid until it moves.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <vector>

#include "cmsim/base/units.hpp"
#include "cmsim/model/step.hpp"

namespace cmsim::metrics {

/// One prefill batch or decode step.
struct Iteration {
  Seconds start = 0, end = 0;
  std::int32_t instance = 0, sequences = 0;
  std::int32_t continuing = 0;  // decode: sequences that have a gap between tokens of its duration
  std::int32_t tokens = 0;      // new prompt tokens or output tokens
  Tokens context = 0;           // prefill: cached, decode: held
  model::IterationBytes bytes_per_die{};
  Seconds late = 0;                // how much longer than with the links to itself
  std::int64_t cached_blocks = 0;  // prefill: read from the context cache for it
  Seconds duration() const { return end - start; }
  bool operator==(const Iteration&) const = default;
};

class Iterations {
 public:
  class Iterator;

  Iterations() = default;
  Iterations(std::initializer_list<Iteration> iterations);
  Iterations(const std::vector<Iteration>& iterations);  // NOLINT: what they are

  void push_back(const Iteration& iteration);
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Iterator begin() const;
  std::default_sentinel_t end() const { return {}; }

 private:
  static constexpr std::size_t kChunk = 64 * 1024;
  struct Chunk {
    std::vector<std::uint8_t> bytes;
    std::size_t used = 0;
  };
  std::size_t size_ = 0;
  Iteration last_;
  std::vector<Chunk> chunks_;
};

/// Until std::default_sentinel.
class Iterations::Iterator {
 public:
  explicit Iterator(const Iterations& iterations) : left_(&iterations) { read(); }
  const Iteration& operator*() const { return now_; }
  const Iteration* operator->() const { return &now_; }
  Iterator& operator++() {
    ++at_;
    read();
    return *this;
  }
  bool operator==(std::default_sentinel_t) const { return at_ == left_->size(); }

 private:
  void read();

  const Iterations* left_;
  std::size_t at_ = 0, chunk_ = 0, byte_ = 0;
  Iteration now_;
};

inline Iterations::Iterator Iterations::begin() const { return Iterator(*this); }

}  // namespace cmsim::metrics
