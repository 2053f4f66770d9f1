// One decode iteration or prefill batch of a scenario alone, without serving: where its time goes.
//
// A decode step gives every rank the same sequences and context; a prefill batch fills the token
// budget with prompts of one length. Pure, but for the rungs of /network that measure the fabric.
#pragma once

#include <optional>
#include <string>

#include "cmsim/model/architecture.hpp"
#include "cmsim/model/breakdown.hpp"
#include "cmsim/model/expert_placement.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

enum class StepPhase { kDecode, kPrefill };
const char* to_string(StepPhase phase);

struct StepSpec {
  StepPhase phase = StepPhase::kDecode;
  /// Per NPU: sequences (decode) or tokens to compute (prefill). Default: the deployment's limit.
  std::optional<std::int64_t> batch;
  /// Tokens of context a sequence has (decode) or of a prompt (prefill). Default: the workload's
  /// fixed prompt_length, in decode with half of output_length; 4096 when it has none.
  std::optional<Tokens> context;
  /// Per NPU, of prompts that mixed instances compute beside their sequences, the same on each.
  std::optional<Tokens> prompt_tokens;
};

struct StepReport {
  StepPhase phase = StepPhase::kDecode;
  int ranks = 0;        // dies of the instance that have tokens
  int expert_dies = 0;  // others with the experts, where attention and experts are apart
  std::int64_t batch_per_npu = 0;
  Tokens context = 0;
  Tokens prompt_tokens_per_npu = 0;  // beside the sequences of a mixed instance
  model::ExpertLayout experts;
  std::string network_note;  // see Provenance
  model::Architecture model;
  Bytes kv_bytes_per_token = 0;  // that instances send each other and the cache keeps
  model::StepBreakdown breakdown;
};

/// Throws ConfigError when the phase does not fit the machine, or the context its KV space.
StepReport break_down_step(const Scenario& scenario, const StepSpec& spec);

}  // namespace cmsim::run
