#include "cmsim/run/step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "batch_shape.hpp"
#include "cmsim/base/error.hpp"
#include "cmsim/serve/placement.hpp"
#include "step_models.hpp"

namespace cmsim::run {
namespace {

constexpr Tokens kDefaultContext = 4096;  // the published operating point (P §5.2)

/// The scenario with the phase's role in use and the batch as its limit, checked anew.
Scenario prepared(Scenario scenario, const StepSpec& spec) {
  const bool decode = spec.phase == StepPhase::kDecode;
  if (!decode && scenario.deployment.decode.is_mixed()) {
    throw ConfigError(
        "--phase: found prefill, allowed is decode: the scenario has /deployment/mixed instances, "
        "which compute prompts in decode steps (--prompt-tokens)");
  }
  if (scenario.role != serve::Role::kAll && scenario.role != serve::Role::kMixed) {
    scenario.role = decode ? serve::Role::kDecodeOnly : serve::Role::kPrefillOnly;
  }
  if (spec.batch) {
    constexpr std::int64_t kMost = 1'000'000'000;
    if (*spec.batch < 1 || *spec.batch > kMost) {
      throw ConfigError(
          fmt::format("--batch: found {}, allowed 1 to {} per NPU", *spec.batch, kMost));
    }
    if (decode) {
      scenario.deployment.decode.max_num_seqs = static_cast<int>(*spec.batch);
    } else {
      scenario.deployment.prefill.max_num_batched_tokens = *spec.batch;
    }
  }
  serve::check_deployment(scenario.deployment, scenario.platform, scenario.role);
  return scenario;
}

Tokens context_of(const Scenario& scenario, const StepSpec& spec) {
  constexpr Tokens kLongest = 1'000'000'000;
  if (spec.context && (*spec.context < 1 || *spec.context > kLongest)) {
    throw ConfigError(
        fmt::format("--context: found {}, allowed 1 to {} tokens", *spec.context, kLongest));
  }
  const work::WorkloadSpec& workload = scenario.workload;
  if (spec.context) return *spec.context;
  if (!workload.trace.empty() || workload.prompt_length <= 0) return kDefaultContext;
  return workload.prompt_length +
         (spec.phase == StepPhase::kDecode ? workload.output_length / 2 : 0);
}

/// Of a rank; as many as its sequences leave of its budget at most.
Tokens prompt_tokens_of_rank(const serve::DecodeSpec& decode, int draft_tokens, Tokens of_npu) {
  if (!decode.is_mixed()) {
    throw ConfigError("--prompt-tokens: the scenario has no /deployment/mixed instances");
  }
  const Tokens left =
      decode.token_budget_of_rank() - Tokens{decode.most_slots_on_a_rank()} * (1 + draft_tokens);
  const double npus = static_cast<double>(decode.attending_npus()) / decode.ranks();
  const auto tokens = static_cast<Tokens>(static_cast<double>(of_npu) * npus);
  if (tokens < 1 || tokens > left) {
    throw ConfigError(fmt::format(
        "--prompt-tokens: found {}, allowed are {} to {} per NPU: what the sequences of a rank "
        "leave of its budget",
        of_npu, std::ceil(1 / npus), static_cast<Tokens>(static_cast<double>(left) / npus)));
  }
  return tokens;
}

model::StepBreakdown decode_step(const Scenario& scenario, const model::DecodePipeline& pipeline,
                                 Tokens context, Tokens prompt_tokens_of_rank) {
  const serve::DecodeSpec& spec = scenario.deployment.decode;
  const std::int64_t per_die = spec.most_slots_on_a_rank();
  if (per_die * context > pipeline.kv_capacity_per_die()) {
    throw ConfigError(fmt::format(
        "{} sequences of {} tokens need {} tokens of KV on a die, which holds {}; lower --batch or "
        "--context",
        per_die, context, per_die * context, pipeline.kv_capacity_per_die()));
  }
  DecodeShape shape =
      even_decode_batch(spec.ranks(), spec.slots_per_instance(), static_cast<double>(context));
  if (prompt_tokens_of_rank > 0) {
    const std::array prompt{model::PrefillSequence{prompt_tokens_of_rank, 0}};
    shape.prompts.assign(shape.sequences.size(), model::prompt_load(prompt));
  }
  return pipeline.breakdown(shape.batch());
}

/// The token budget of an instance, filled with prompts of `context` tokens; the last one is cut.
/// An imposed cache reuse takes its share of each prompt.
model::StepBreakdown prefill_step(const Scenario& scenario, const model::PrefillPipeline& pipeline,
                                  Tokens context) {
  const serve::PrefillSpec& spec = scenario.deployment.prefill;
  const double reuse = std::max(0.0, scenario.deployment.cache.reuse);
  const Tokens cached = std::min(
      context - 1, static_cast<Tokens>(std::llround(static_cast<double>(context) * reuse)));
  Tokens left = spec.max_num_batched_tokens * spec.npus_per_instance;
  constexpr Tokens kMostPrompts = 10'000'000;
  if (left / (context - cached) >= kMostPrompts) {
    throw ConfigError(fmt::format(
        "{} tokens an instance to compute are over {} prompts of {} tokens; lower --batch or raise "
        "--context",
        left, kMostPrompts, context - cached));
  }
  std::vector<model::PrefillSequence> sequences;
  while (left > 0) {
    const Tokens fresh = std::min(left, context - cached);
    sequences.push_back({fresh, cached});
    left -= fresh;
  }
  const Tokens block = scenario.deployment.cache.block_size;
  const std::int64_t blocks =
      (cached + block - 1) / block * static_cast<std::int64_t>(sequences.size());
  return pipeline.breakdown({.sequences = sequences, .cached_blocks = blocks});
}

}  // namespace

const char* to_string(StepPhase phase) {
  return phase == StepPhase::kDecode ? "decode" : "prefill";
}

StepReport break_down_step(const Scenario& given, const StepSpec& spec) {
  Scenario scenario = prepared(given, spec);
  // A step of another batch or context is one of the same deployment.
  plan_decode(scenario, given.deployment.decode, context_of(given, {}));
  check_step_models(scenario);
  Tokens prompt_tokens = 0;
  if (spec.prompt_tokens) {
    model::DecodeOptions& decode = scenario.options.decode;
    prompt_tokens =
        prompt_tokens_of_rank(scenario.deployment.decode, decode.draft_tokens, *spec.prompt_tokens);
    decode.planned_prompt_tokens = static_cast<double>(prompt_tokens);
  }
  const RoleExperts experts = make_role_experts(scenario);
  const StepModels models = make_step_models(scenario, experts);
  const serve::DeploymentSpec& deployment = scenario.deployment;
  StepReport report;
  report.phase = spec.phase;
  report.context = context_of(scenario, spec);
  report.network_note = models.network_note;
  report.model = scenario.model;
  report.kv_bytes_per_token = kv_bytes_per_token(scenario);
  if (spec.phase == StepPhase::kDecode) {
    report.ranks = deployment.decode.ranks();
    if (deployment.decode.is_disaggregated()) report.expert_dies = deployment.decode.ep;
    report.experts = experts.decode->layout();
    report.batch_per_npu = deployment.decode.max_num_seqs;
    report.prompt_tokens_per_npu = spec.prompt_tokens.value_or(0);
    report.breakdown = decode_step(scenario, models.decode_aged(scenario.options.experts.drift.age),
                                   report.context, prompt_tokens);
  } else {
    report.ranks = deployment.prefill.ep;
    report.experts = experts.prefill->layout();
    report.batch_per_npu = deployment.prefill.max_num_batched_tokens;
    report.breakdown = prefill_step(scenario, *models.prefill, report.context);
  }
  return report;
}

}  // namespace cmsim::run
