#include "cmsim/metrics/iterations.hpp"

#include <array>
#include <bit>
#include <concepts>
#include <cstring>

namespace cmsim::metrics {
namespace {

/// What an iteration is written as: words that are small where little has changed.
constexpr std::size_t kWords = 13;
using Words = std::array<std::uint64_t, kWords>;
/// Half a byte a word says in how many bytes it follows.
constexpr std::size_t kLengths = (kWords + 1) / 2;
constexpr std::size_t kMostBytes = kLengths + kWords * sizeof(std::uint64_t);

/// Differences of either sign, small ones as small numbers; exact, whatever wraps around.
std::uint64_t folded(std::uint64_t difference) {
  return (difference << 1) ^ (0 - (difference >> 63));
}
std::uint64_t unfolded(std::uint64_t word) { return (word >> 1) ^ (0 - (word & 1)); }

template <std::signed_integral Integer>
std::uint64_t difference(Integer of, Integer from) {
  return folded(static_cast<std::uint64_t>(of) - static_cast<std::uint64_t>(from));
}
std::uint64_t difference(double of, double from) {
  return folded(std::bit_cast<std::uint64_t>(of) - std::bit_cast<std::uint64_t>(from));
}
template <std::signed_integral Integer>
Integer sum(Integer from, std::uint64_t word) {
  return static_cast<Integer>(static_cast<std::uint64_t>(from) + unfolded(word));
}
double sum(double from, std::uint64_t word) {
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(from) + unfolded(word));
}

Words words_of(const Iteration& now, const Iteration& last) {
  const model::IterationBytes &bytes = now.bytes_per_die, &before = last.bytes_per_die;
  return {difference(now.start, last.end),
          difference(now.end, now.start),
          difference(now.instance, last.instance),
          difference(now.sequences, last.sequences),
          difference(now.continuing, now.sequences),
          difference(now.tokens, last.tokens),
          difference(now.context, last.context),
          difference(bytes.hbm, before.hbm),
          difference(bytes.ub, before.ub),
          difference(bytes.exchange, before.exchange),
          difference(bytes.collective, before.collective),
          difference(now.late, 0.0),
          difference(now.cached_blocks, last.cached_blocks)};
}

Iteration iteration_of(const Words& words, const Iteration& last) {
  Iteration now;
  now.start = sum(last.end, words[0]);
  now.end = sum(now.start, words[1]);
  now.instance = sum(last.instance, words[2]);
  now.sequences = sum(last.sequences, words[3]);
  now.continuing = sum(now.sequences, words[4]);
  now.tokens = sum(last.tokens, words[5]);
  now.context = sum(last.context, words[6]);
  now.bytes_per_die = {sum(last.bytes_per_die.hbm, words[7]), sum(last.bytes_per_die.ub, words[8]),
                       sum(last.bytes_per_die.exchange, words[9]),
                       sum(last.bytes_per_die.collective, words[10])};
  now.late = sum(0.0, words[11]);
  now.cached_blocks = sum(last.cached_blocks, words[12]);
  return now;
}

/// Low bytes come first, as on the machines that this runs on.
static_assert(std::endian::native == std::endian::little);

std::size_t bytes_of(std::uint64_t word) {
  return (static_cast<std::size_t>(std::bit_width(word)) + 7) / 8;
}

/// Returns the bytes written; as many as `kMostBytes` may be touched.
std::size_t write(const Words& words, std::uint8_t* at) {
  std::uint8_t* to = at + kLengths;
  std::memset(at, 0, kLengths);
  for (std::size_t i = 0; i < kWords; ++i) {
    const std::size_t bytes = bytes_of(words[i]);
    at[i / 2] = static_cast<std::uint8_t>(at[i / 2] | bytes << (i % 2 * 4));
    std::memcpy(to, &words[i], sizeof words[i]);
    to += bytes;
  }
  return static_cast<std::size_t>(to - at);
}

/// Returns the bytes read; as many as `kMostBytes` may be looked at.
std::size_t read(const std::uint8_t* at, Words& words) {
  const std::uint8_t* from = at + kLengths;
  for (std::size_t i = 0; i < kWords; ++i) {
    const std::size_t bytes = at[i / 2] >> (i % 2 * 4) & 0xf;
    words[i] = 0;
    if (bytes > 0) {
      std::memcpy(&words[i], from, sizeof words[i]);
      words[i] &= ~std::uint64_t{0} >> (64 - 8 * bytes);
      from += bytes;
    }
  }
  return static_cast<std::size_t>(from - at);
}

}  // namespace

Iterations::Iterations(std::initializer_list<Iteration> iterations) {
  for (const Iteration& iteration : iterations) push_back(iteration);
}

Iterations::Iterations(const std::vector<Iteration>& iterations) {
  for (const Iteration& iteration : iterations) push_back(iteration);
}

void Iterations::push_back(const Iteration& iteration) {
  if (chunks_.empty() || chunks_.back().used + kMostBytes > kChunk) {
    chunks_.push_back({std::vector<std::uint8_t>(kChunk), 0});
  }
  Chunk& chunk = chunks_.back();
  chunk.used += write(words_of(iteration, last_), chunk.bytes.data() + chunk.used);
  last_ = iteration;
  ++size_;
}

void Iterations::Iterator::read() {
  if (at_ == left_->size()) return;
  if (byte_ == left_->chunks_[chunk_].used) {
    ++chunk_;
    byte_ = 0;
  }
  Words words;
  byte_ += metrics::read(left_->chunks_[chunk_].bytes.data() + byte_, words);
  now_ = iteration_of(words, now_);
}

}  // namespace cmsim::metrics
