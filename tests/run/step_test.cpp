#include "cmsim/run/step.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cmsim/base/error.hpp"
#include "cmsim/run/chrome_trace.hpp"
#include "runs.hpp"
#include "src/run/batch_shape.hpp"

namespace cmsim::run {
namespace {

StepReport step_of(StepPhase phase, std::vector<std::string> sets = {}) {
  StepSpec spec;
  spec.phase = phase;
  spec.context = 4096;
  return break_down_step(scenario_with(sets), spec);
}

double total(const std::vector<std::pair<std::string, Seconds>>& times) {
  return std::accumulate(times.begin(), times.end(), 0.0,
                         [](double sum, const auto& entry) { return sum + entry.second; });
}

/// The parts of the step, and the critical path, each add up to its duration.
void expect_parts_add_up(const model::StepBreakdown& b) {
  EXPECT_NEAR(b.host + b.dense_layers + b.moe_layers + b.head + b.mtp, b.duration,
              1e-9 * b.duration);
  EXPECT_NEAR(total(b.critical_path) + b.host, b.duration, 1e-6 * b.duration);
  // All ranks are alike: nothing waits but for another operator of the same rank.
  for (const auto& [name, time] : b.critical_path) EXPECT_NE(name, "(waiting)") << time;
}

TEST(Step, PartsOfADecodeStepAddUp) {
  const StepReport report = step_of(StepPhase::kDecode);
  EXPECT_EQ(report.ranks, 320);
  EXPECT_EQ(report.batch_per_npu, 96);
  expect_parts_add_up(report.breakdown);
  // 58 MoE layers of the mean length.
  EXPECT_NEAR(report.breakdown.moe_layers, 58 * report.breakdown.layer, 1e-9);
  EXPECT_GT(report.breakdown.losses.imbalance, 0);
  EXPECT_GT(report.breakdown.losses.communication, 0);
  EXPECT_GT(report.breakdown.losses.launch, 0);
}

TEST(Step, PartsAddUpWhereAttentionAndExpertsAreApart) {
  const StepReport report = step_of(
      StepPhase::kDecode, {"/deployment/decode/attention/npus=104",
                           "/deployment/decode/experts/npus=56", "/deployment/decode/ep=112"});
  EXPECT_EQ(report.ranks, 208);
  EXPECT_EQ(report.expert_dies, 112);
  expect_parts_add_up(report.breakdown);
  EXPECT_EQ(report.breakdown.streams.size(), 4u);
}

TEST(Step, NamesTheLayout) {
  const StepReport report = step_of(StepPhase::kDecode);
  EXPECT_EQ(report.experts.shared_copies, 32);
  EXPECT_EQ(report.experts.redundant, 32);
  EXPECT_EQ(report.experts.most_slots(), 1);
}

/// Of the MLP of a rank in a MoE layer.
double mlp_bytes(const StepReport& report) {
  const auto& operators = report.breakdown.operators;
  return std::ranges::find(operators, "MLP", &model::OperatorTime::name)->hbm_bytes;
}

TEST(Step, ReadsTheExpertsThatHaveRowsAlone) {
  const auto of_batch = [](std::int64_t batch) {
    StepSpec spec;
    spec.batch = batch;
    spec.context = 4096;
    return break_down_step(
        scenario_with({"/deployment/decode/npus_per_instance=16", "/deployment/decode/ep=32",
                       "/decode/mtp/draft_tokens=0", "/decode/microbatches=1"}),
        spec);
  };
  // 10 experts of 3 x 7168 x 2048 B a rank. 1 sequence an NPU: 16 x 8 rows over 288 slots; a rank
  // has few, but its shared one. 64 sequences: 8192 rows, nearly all.
  const double expert = 3.0 * 7168 * 2048;
  const double one = mlp_bytes(of_batch(1)), many = mlp_bytes(of_batch(64));
  EXPECT_GT(one, 2 * expert);
  EXPECT_LT(one, 8 * expert);
  EXPECT_GT(many, 9.9 * expert);
  EXPECT_LT(of_batch(1).breakdown.duration, of_batch(64).breakdown.duration);
}

TEST(Step, TakesAnOddBatch) {
  const auto ms = [](std::int64_t batch) {
    StepSpec spec;
    spec.batch = batch;
    spec.context = 4096;
    return break_down_step(scenario_with({}), spec).breakdown.duration;
  };
  // The die with 2 of 3 sequences paces, as with 4, but fewer rows come.
  EXPECT_GT(ms(3), ms(2));
  EXPECT_LE(ms(3), ms(4));
  EXPECT_LT(ms(1), ms(2));
}

TEST(Step, PartsOfAPrefillBatchAddUp) {
  const StepReport report = step_of(StepPhase::kPrefill);
  EXPECT_EQ(report.ranks, 32);
  EXPECT_EQ(report.batch_per_npu, 16384);
  expect_parts_add_up(report.breakdown);
}

std::string shipped_model(const std::string& name) {
  return "/model=" + std::string(CMSIM_SOURCE_DIR) + "/workloads/models/" + name + ".json";
}

TEST(Step, PartsOfOtherModelsAddUp) {
  const std::string no_drafts = "/decode/mtp/draft_tokens=0";
  for (const char* name : {"deepseek-v3.2", "kimi-k2", "glm-5", "qwen3-235b-a22b"}) {
    for (const StepPhase phase : {StepPhase::kDecode, StepPhase::kPrefill}) {
      const StepReport report = step_of(phase, {shipped_model(name), no_drafts});
      SCOPED_TRACE(name);
      expect_parts_add_up(report.breakdown);
      EXPECT_EQ(report.model.name, name);
    }
  }
}

// Llama-3.3-70B has 72.65 GB in INT8: more than a decode die of the default machine holds. A
// prefill die holds a 32nd of it.
TEST(Step, ADenseModelRunsWhereItFits) {
  const std::vector<std::string> llama{shipped_model("llama-3.3-70b"), "/decode/mtp/draft_tokens=0",
                                       "/workload/role=decode"};
  EXPECT_THROW(step_of(StepPhase::kDecode, llama), ConfigError);
  std::vector<std::string> larger = llama;
  larger.emplace_back("/platform/die/hbm_capacity=145GB");
  const StepReport decode = step_of(StepPhase::kDecode, larger);
  expect_parts_add_up(decode.breakdown);
  EXPECT_EQ(decode.breakdown.moe_layers, 0);
  EXPECT_EQ(decode.kv_bytes_per_token, 327'680);
  larger.emplace_back("/precision/experts=bf16");
  larger.emplace_back("/precision/attention_projections=bf16");  // 141.1 GB and 4
  EXPECT_THROW(step_of(StepPhase::kDecode, larger), ConfigError);
  const StepReport prefill =
      step_of(StepPhase::kPrefill, {shipped_model("llama-3.3-70b"), "/workload/role=prefill"});
  expect_parts_add_up(prefill.breakdown);
  EXPECT_NEAR(prefill.breakdown.dense_layers, 80 * prefill.breakdown.layer, 1e-9);
}

TEST(Step, LaunchesFromTheCpuAreAPartOfTheirOwn) {
  // Two graphs (decode and one draft) of 0.7 ms each.
  const StepReport report = step_of(StepPhase::kDecode, {"/decode/launch=cpu"});
  EXPECT_NEAR(report.breakdown.host, 2 * 0.7e-3, 1e-9);
  expect_parts_add_up(report.breakdown);
}

TEST(Step, BatchAndContextReplaceTheDeploymentsLimits) {
  StepSpec spec;
  spec.batch = 8;
  spec.context = 1024;
  const StepReport small = break_down_step(scenario_with({}), spec);
  EXPECT_EQ(small.batch_per_npu, 8);
  EXPECT_LT(small.breakdown.duration, step_of(StepPhase::kDecode).breakdown.duration);
}

TEST(Step, RefusesAContextThatNoKvSpaceHolds) {
  StepSpec spec;
  spec.context = 10'000'000;
  EXPECT_THROW(break_down_step(scenario_with({}), spec), ConfigError);
  spec.context = 0;
  EXPECT_THROW(break_down_step(scenario_with({}), spec), ConfigError);
  spec.context = 4096;
  spec.batch = 0;
  EXPECT_THROW(break_down_step(scenario_with({}), spec), ConfigError);
}

TEST(BatchShape, SpreadsWholeNumbersEvenly) {
  // 10 sequences over 4 ranks: 2, 3, 2, 3.
  const DecodeShape shape = even_decode_batch(4, 10, 100);
  EXPECT_EQ(shape.sequences, (std::vector<std::int32_t>{2, 3, 2, 3}));
  EXPECT_EQ(shape.kv_tokens, (std::vector<std::int64_t>{200, 300, 200, 300}));
  const auto prompts = even_prefill_batch(3, 100, 7);
  ASSERT_EQ(prompts.size(), 3u);
  EXPECT_EQ(prompts[0].new_tokens + prompts[1].new_tokens + prompts[2].new_tokens, 100);
  EXPECT_EQ(prompts[0].cached_tokens + prompts[1].cached_tokens + prompts[2].cached_tokens, 7);
}

/// Slices of one track in file order neither overlap nor leave the step, and the thread has a name.
void expect_sound_trace(const StepReport& report) {
  const auto trace = nlohmann::json::parse(chrome_trace(report));
  std::map<int, std::int64_t> free_from;  // ns, by thread
  std::map<int, bool> named;
  std::int64_t last = 0;
  int slices = 0;
  for (const auto& event : trace["traceEvents"]) {
    const int thread = event["tid"];
    if (event["ph"] == "M") {
      named[thread] = named[thread] || event["name"] == "thread_name";
      continue;
    }
    ASSERT_EQ(event["ph"], "X");
    const std::int64_t begin = std::llround(event["ts"].get<double>() * 1e3);
    const std::int64_t end = begin + std::llround(event["dur"].get<double>() * 1e3);
    EXPECT_GE(begin, free_from[thread]) << event;
    EXPECT_GT(end, begin) << event;
    EXPECT_TRUE(named[thread]) << event;
    free_from[thread] = end;
    last = std::max(last, end);
    ++slices;
  }
  EXPECT_GE(slices, 58 * 7);  // seven operators and more in every MoE layer
  // The step ends with its last slice, to the nanosecond.
  EXPECT_NEAR(static_cast<double>(last), report.breakdown.duration * 1e9, 1);
}

TEST(ChromeTrace, SlicesOfATrackDoNotOverlap) {
  expect_sound_trace(step_of(StepPhase::kDecode));
  expect_sound_trace(step_of(StepPhase::kDecode, {"/decode/microbatches=1"}));
  expect_sound_trace(step_of(StepPhase::kDecode, {"/decode/launch=cpu", "/decode/microbatches=3"}));
  expect_sound_trace(step_of(StepPhase::kPrefill));
  expect_sound_trace(step_of(StepPhase::kPrefill, {"/prefill/microbatches=1"}));
}

TEST(Step, OperatorsFillTheirSlices) {
  // One microbatch of every MoE layer, whose experts all get the same: each is the typical one.
  const StepReport report =
      step_of(StepPhase::kDecode, {"/experts/placement=balanced", "/decode/microbatches=2"});
  for (const model::OperatorTime& op : report.breakdown.operators) {
    int count = 0;
    for (const model::StepSlice& slice : report.breakdown.slices) {
      if (slice.name != op.name || slice.layer != 30) continue;
      EXPECT_NEAR(slice.duration, op.duration, 1e-3 * op.duration) << op.name;
      ++count;
    }
    EXPECT_EQ(count, 2) << op.name;
  }
}

TEST(ChromeTrace, SlicesBeforeRoundingDoNotOverlapEither) {
  // The trace clamps to the nanosecond; the model's own slices may not hide a real overlap there.
  for (const StepPhase phase : {StepPhase::kDecode, StepPhase::kPrefill}) {
    auto slices = step_of(phase).breakdown.slices;
    std::ranges::stable_sort(slices, {}, &model::StepSlice::start);
    std::map<std::string, Seconds> free_from;
    for (const model::StepSlice& slice : slices) {
      EXPECT_GE(slice.start, free_from[slice.track] - 1e-10) << slice.name << slice.layer;
      free_from[slice.track] = slice.start + slice.duration;
    }
  }
}

}  // namespace
}  // namespace cmsim::run
