// Drawing a trace with given arrival, length and prefix-sharing statistics.
//
// A request either starts a session or takes the next turn of one. Its prompt is
//   first turn:  [shared system prompt] + new tokens
//   later turn:  the prompt before + the answer before + new tokens
// so the whole prompt is longer than `prompt`, which describes the new tokens only. Block ids are
// prefix-chained as in trace.hpp: a later turn shares the full blocks of the prompt before.
// Equal spec and seed give an equal trace.
#pragma once

#include <cstdint>
#include <string>

#include "cmsim/work/trace.hpp"
#include "cmsim/work/workload.hpp"

namespace cmsim::work {

struct SynthesisSpec {
  // Ends at whichever comes first; at least one must be given.
  std::int64_t requests = 0;  // 0 = no limit
  Seconds duration = 0;       // 0 = no limit

  ArrivalSpec arrivals{.kind = ArrivalKind::kPoisson, .rate = 1};  // poisson, gamma or constant
  LengthSpec prompt{};                                             // new tokens of a turn
  LengthSpec output{};
  std::int64_t max_prompt = 131072;  // a session whose next prompt would be longer ends instead

  // Sessions: each answer is followed by another turn with this probability, sent at the first
  // arrival after answer_seconds_per_token * output + Exp(think_time) have passed.
  double continue_probability = 0;
  Seconds think_time = 30;
  double answer_seconds_per_token = 0.05;
  Seconds warm_up =
      0;  // simulated before time 0 and left out, so that later turns occur from the start

  // Shared system prompts: a session begins with one of them with this probability, the i-th most
  // popular being chosen with weight i^-zipf.
  double shared_probability = 0;
  std::int64_t shared_prompts = 0;
  std::int64_t shared_blocks = 1;  // length of each, in whole blocks
  double zipf = 1;

  int block_size = 512;
};

/// Throws ConfigError (pointer naming the field) when the statistics cannot be had together.
Trace synthesize(const SynthesisSpec& spec, std::uint64_t seed);

}  // namespace cmsim::work
