// Decode steps and prefill batches of models with other attention and feed-forward than
// DeepSeek-R1.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "cmsim/model/decode_model.hpp"
#include "cmsim/model/prefill_model.hpp"
#include "tests/model/places.hpp"
#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

constexpr const char* kModels[] = {"deepseek-r1", "deepseek-v3.2",   "kimi-k2",
                                   "glm-5",       "qwen3-235b-a22b", "llama-3.3-70b"};

Architecture model_of(const std::string& name) {
  return load_architecture(CMSIM_SOURCE_DIR "/workloads/models/" + name + ".json");
}

ModelOptions plain_options() {
  ModelOptions options;
  options.decode.microbatches = options.prefill.microbatches = 1;
  options.decode.draft_tokens = 0;
  options.experts.placement = Placement::kBalanced;
  return options;
}

struct EvenBatch {
  EvenBatch(std::size_t ranks, int each, std::int64_t context)
      : sequences(ranks, each), kv_tokens(ranks, each * context) {}
  operator DecodeBatch() const { return {sequences, kv_tokens}; }  // NOLINT
  std::vector<std::int32_t> sequences;
  std::vector<std::int64_t> kv_tokens;
};

StepBreakdown decode_of(const std::string& name, std::int64_t context,
                        const ModelOptions& options = plain_options()) {
  return make_decode(cloudmatrix(), model_of(name), options, 64, 64)
      .breakdown(EvenBatch(64, 16, context));
}

StepBreakdown prefill_of(const std::string& name, Tokens fresh, Tokens cached = 0) {
  const std::vector<PrefillSequence> prompts(4, {fresh, cached});
  return make_prefill(cloudmatrix(), model_of(name), plain_options(), 32, 4096)
      .breakdown({prompts});
}

std::vector<std::string> names_of(const StepBreakdown& step) {
  std::vector<std::string> names;
  for (const OperatorTime& op : step.operators) names.push_back(op.name);
  return names;
}

const OperatorTime& operator_of(const StepBreakdown& step, const std::string& name) {
  return *std::ranges::find(step.operators, name, &OperatorTime::name);
}

TEST(OtherModels, AllDecodeAndPrefill) {
  for (const char* name : kModels) {
    for (const int microbatches : {1, 2}) {
      ModelOptions options = plain_options();
      options.decode.microbatches = microbatches;
      const StepBreakdown decode = decode_of(name, 4096, options);
      EXPECT_TRUE(std::isfinite(decode.duration) && decode.duration > 0) << name;
      EXPECT_GT(decode.layer, 0) << name;
      EXPECT_EQ(decode.microbatches, microbatches) << name;
    }
    const StepBreakdown prefill = prefill_of(name, 4096);
    EXPECT_TRUE(std::isfinite(prefill.duration) && prefill.duration > 0) << name;
    EXPECT_GT(prefill.layer, 0) << name;
  }
}

// Nothing is exchanged that another microbatch could hide.
TEST(OtherModels, ADenseStepIsPlannedWhole) {
  ModelOptions options = plain_options();
  options.decode.microbatches = 0;
  EXPECT_EQ(decode_of("llama-3.3-70b", 4096, options).microbatches, 1);
  EXPECT_EQ(decode_of("qwen3-235b-a22b", 4096, options).microbatches, 2);
}

TEST(OtherModels, OperatorsHaveTheNamesOfTheirKind) {
  using testing::ElementsAre;
  EXPECT_THAT(
      names_of(decode_of("kimi-k2", 4096)),
      ElementsAre("MLAProlog", "FusedAttention", "OProj", "Gate", "Dispatch", "MLP", "Combine"));
  EXPECT_THAT(names_of(decode_of("glm-5", 4096)),
              ElementsAre("MLAProlog", "Indexer", "FusedAttention", "OProj", "Gate", "Dispatch",
                          "MLP", "Combine"));
  EXPECT_THAT(names_of(decode_of("qwen3-235b-a22b", 4096)),
              ElementsAre("QKVProj", "Attention", "OProj", "Gate", "Dispatch", "MLP", "Combine"));
  EXPECT_THAT(names_of(decode_of("llama-3.3-70b", 4096)),
              ElementsAre("QKVProj", "Attention", "OProj", "DenseFFN"));
  EXPECT_THAT(names_of(prefill_of("llama-3.3-70b", 4096)),
              ElementsAre("Norm", "AllGather", "QKVProj", "RoPE", "Attention", "Quantise", "OProj",
                          "ReduceScatter", "Sum", "AllGather", "DenseFFN", "ReduceScatter", "Sum"));
}

// One stream of 64 ranks with 16 sequences of 4,096 tokens: 80 layers of four operators, LM head.
TEST(OtherModels, ADenseStepIsTheSumOfItsOperators) {
  const ModelOptions options = plain_options();
  const OperatorList list(model_of("llama-3.3-70b"), options.precision);
  const Device device(cloudmatrix());
  const auto alone = [&](const OperatorWork& work) {
    return device.cost(work, 1).alone(device.hbm_bandwidth());
  };
  const Seconds layer = alone(list.attention_prolog(16)) + alone(list.attention(16, 65'536, 1)) +
                        alone(list.o_proj(16)) + alone(list.dense_ffn(16));
  const StepBreakdown step = decode_of("llama-3.3-70b", 4096);
  EXPECT_NEAR(step.layer, layer, 1e-12);
  EXPECT_NEAR(step.duration, step.host + 80 * layer + alone(list.lm_head(16)), 1e-9);
  EXPECT_EQ(step.moe_layers, 0);
  EXPECT_EQ(step.losses.imbalance, 0);
  EXPECT_EQ(step.losses.communication, 0);
  const DecodeIteration iteration =
      make_decode(cloudmatrix(), model_of("llama-3.3-70b"), options, 64, 64)
          .iteration(EvenBatch(64, 16, 4096));
  EXPECT_EQ(iteration.bytes_per_die.ub, 0);
  EXPECT_EQ(iteration.bytes_per_die.exchange, 0);
}

// Beyond 2,048 tokens attention no longer grows, the indexer does: by 128 B and 16,384 operations
// a token of each of 16 sequences.
TEST(OtherModels, SparseAttentionLeavesTheGrowthToTheIndexer) {
  const StepBreakdown near = decode_of("deepseek-v3.2", 4'096),
                      far = decode_of("deepseek-v3.2", 131'072);
  EXPECT_EQ(operator_of(near, "FusedAttention").hbm_bytes, 16 * 2'048 * 1'152.0);
  EXPECT_EQ(operator_of(far, "FusedAttention").hbm_bytes, 16 * 2'048 * 1'152.0);
  EXPECT_EQ(operator_of(far, "Indexer").hbm_bytes - operator_of(near, "Indexer").hbm_bytes,
            16 * (131'072 - 4'096) * 128.0);
  EXPECT_LT(far.duration, decode_of("deepseek-r1", 131'072).duration);
}

// Causal attention of prompts of 4,096: 2,048 tokens see all before them, the others 2,048 of them;
// with 4,096 cached tokens in front all see 2,048.
TEST(OtherModels, SparsePrefillAttendsToTheChosenTokens) {
  const double first = 2'048.0 * 2'049 / 2 + 2'048.0 * 2'048;
  const Device device(cloudmatrix());
  const OperatorList list(model_of("deepseek-v3.2"), {});
  for (const auto& [cached, kept] : {std::pair{0, first}, std::pair{4'096, 4'096.0 * 2'048}}) {
    const double fresh = 4.0 * 4'096, context = fresh + 4.0 * cached;
    const OperatorWork work = list.prefill_attention(4 * kept, fresh, context, 4);
    EXPECT_NEAR(operator_of(prefill_of("deepseek-v3.2", 4'096, cached), "Attention").alone,
                device.cost(work, 1).alone(device.hbm_bandwidth()), 1e-12);
  }
  EXPECT_THAT(names_of(prefill_of("deepseek-v3.2", 4'096)),
              testing::IsSupersetOf({"Indexer", "IndexGather", "UpProjection", "AllToAll"}));
}

// 4 prompts of 4,096 over 32 ranks of one TP group: hidden states are gathered in INT8 before
// attention and before the FFN, partial sums come back in BF16.
TEST(OtherModels, TensorParallelPrefillMovesHiddenStates) {
  const std::vector<PrefillSequence> prompts(4, {4'096, 8'192});
  const auto bytes = [&](const char* name) {
    return make_prefill(cloudmatrix(), model_of(name), plain_options(), 32, 4096)
        .batch({prompts})
        .bytes_per_die;
  };
  EXPECT_EQ(bytes("llama-3.3-70b").collective, 80 * 2 * 16'384LL * 8'192 * (1 + 2));
  EXPECT_EQ(bytes("llama-3.3-70b").exchange, 0);
  EXPECT_EQ(bytes("qwen3-235b-a22b").collective, 94 * 16'384LL * 4'096 * (1 + 2));
  EXPECT_GT(bytes("qwen3-235b-a22b").exchange, 0);
}

}  // namespace
}  // namespace cmsim::model
