// Batches of one instance in which all ranks or prompts are alike, as the step models want them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "cmsim/model/step.hpp"

namespace cmsim::run {

struct DecodeShape {
  std::vector<std::int32_t> sequences;
  std::vector<std::int64_t> kv_tokens;
  std::vector<model::PromptLoad> prompts = {};  // that are computed beside; may be empty
  model::DecodeBatch batch() const { return {sequences, kv_tokens, 0, prompts}; }
};

/// `total` sequences of `context` tokens each, as evenly over the ranks as whole numbers go; at
/// least one.
inline DecodeShape even_decode_batch(int ranks, std::int64_t total, double context) {
  total = std::max<std::int64_t>(1, total);
  DecodeShape shape;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const std::int64_t here = total * (rank + 1) / ranks - total * rank / ranks;
    shape.sequences.push_back(static_cast<std::int32_t>(here));
    shape.kv_tokens.push_back(std::llround(static_cast<double>(here) * context));
  }
  return shape;
}

/// `sequences` prompts (at least one) that share `fresh` and `cached` tokens evenly.
inline std::vector<model::PrefillSequence> even_prefill_batch(std::int64_t sequences, Tokens fresh,
                                                              Tokens cached) {
  sequences = std::max<std::int64_t>(1, sequences);
  std::vector<model::PrefillSequence> batch;
  for (std::int64_t i = 0; i < sequences; ++i) {
    batch.push_back({fresh * (i + 1) / sequences - fresh * i / sequences,
                     cached * (i + 1) / sequences - cached * i / sequences});
  }
  return batch;
}

}  // namespace cmsim::run
