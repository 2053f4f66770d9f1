// Dies that share the attention of the same sequences: heads (TP), or tokens of the KV (context
// parallelism).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cmsim/base/error.hpp"
#include "tests/model/places.hpp"
#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

ModelOptions grouped(int dies, bool splits_kv = false) {
  ModelOptions options;
  options.decode.attention_group = {dies, splits_kv};
  options.decode.microbatches = 1;
  options.decode.draft_tokens = 0;
  options.experts.placement = Placement::kBalanced;
  return options;
}

StepBreakdown decode_of(const ModelOptions& options, int sequences_per_die) {
  const DecodePipeline model = make_decode(cloudmatrix(), deepseek_r1(), options, 320, 64);
  const auto ranks = static_cast<std::size_t>(model.ranks());
  const int sequences = sequences_per_die * options.decode.attention_group.dies;
  const std::vector<std::int32_t> counts(ranks, sequences);
  const std::vector<std::int64_t> contexts(ranks, sequences * 4096L);
  return model.breakdown({counts, contexts});
}

// Four dies with 4 x 8 sequences: a quarter of the heads of four times the tokens is the same work,
// but each reads the latents of all sequences, and a quarter of what is by heads of the weights.
TEST(AttentionGroup, SharesHeadsAndRepeatsLatents) {
  const StepBreakdown alone = decode_of(grouped(1), 8), four = decode_of(grouped(4), 8);
  const OperatorTime one = op_of(alone, "FusedAttention"), part = op_of(four, "FusedAttention");
  EXPECT_DOUBLE_EQ(part.work.attention_ops, one.work.attention_ops);
  EXPECT_DOUBLE_EQ(part.hbm_bytes, 4 * one.hbm_bytes);
  // 16384 x 7168 INT8 and 128 x 512 x 128 BF16, then 32 tokens of 640 values by head and 7168.
  EXPECT_DOUBLE_EQ(op_of(four, "OProj").hbm_bytes,
                   (16384 * 7168.0 + 2 * 128 * 512 * 128.0) / 4 + 32 * (32 * 640 + 7168) * 2.0);
  // Tokens are spread over the dies again: the experts notice nothing.
  EXPECT_DOUBLE_EQ(op_of(four, "MLP").alone, op_of(alone, "MLP").alone);
  EXPECT_NEAR(op_of(four, "Dispatch").alone, op_of(alone, "Dispatch").alone, 1e-12);
}

// A die gets 7,168 B of 32 tokens, of which a quarter is its own and a quarter its sibling's, with
// nothing else on the wire: two dies of each of two packages of a node.
TEST(AttentionGroup, CollectsHiddenStatesWithinItself) {
  hw::Platform platform = cloudmatrix();
  const OperatorTime gather = op_of(decode_of(grouped(4), 8), "AllGather");
  EXPECT_EQ(gather.unit, "exchange");
  EXPECT_NEAR(gather.compute, 32 * 7168 * 0.5 / 137e9, 1e-9);
  EXPECT_EQ(op_of(decode_of(grouped(1), 8), "AllGather").alone, 0);
  EXPECT_EQ(op_of(decode_of(grouped(4), 8), "QueryGather").alone, 0);
}

TEST(AttentionGroup, SplitsTheKv) {
  const StepBreakdown alone = decode_of(grouped(1), 8), four = decode_of(grouped(4, true), 8);
  const OperatorTime one = op_of(alone, "FusedAttention"), part = op_of(four, "FusedAttention");
  EXPECT_DOUBLE_EQ(part.work.attention_ops,
                   one.work.attention_ops);  // all heads, a quarter of the tokens
  EXPECT_DOUBLE_EQ(part.hbm_bytes, one.hbm_bytes);
  EXPECT_GT(op_of(four, "QueryGather").compute, op_of(four, "AllGather").compute);
}

// Of R1: q_lora 1536 x 192, output 128 x 7168 by head, 2112 x 7168 whole; keys and values 512 x 256
// a head in BF16.
TEST(AttentionGroup, HoldsItsPartOfWeightsAndKv) {
  const OperatorList list(deepseek_r1(), {});
  EXPECT_DOUBLE_EQ(list.attention_weight_bytes(4),
                   7168 * 2112.0 + 32 * (1536 * 192.0 + 128 * 7168.0 + 2 * 512 * 256.0));
  const ExpertLayout layout = derive_layout(deepseek_r1(), 320);
  const auto plan = [&](const AttentionGroup& group) {
    return plan_decode_memory(cloudmatrix(), list, layout, ExchangeKind::kFused, 96, group);
  };
  EXPECT_DOUBLE_EQ(plan({4}).kv_bytes_per_token, plan({}).kv_bytes_per_token);
  EXPECT_DOUBLE_EQ(plan({4, true}).kv_bytes_per_token, plan({}).kv_bytes_per_token / 4);
  EXPECT_GT(plan({4}).kv_tokens(), plan({}).kv_tokens());
  // 62 layers, and three quarters of embedding and LM head in BF16.
  const double saved = 62 * (list.attention_weight_bytes() - list.attention_weight_bytes(4)) +
                       2 * 0.75 * 7168.0 * 129280 * 2;
  EXPECT_NEAR(plan({}).weights - plan({4}).weights, saved, 1);
}

TEST(AttentionGroup, HasAHeadForEveryDie) {
  EXPECT_THROW(decode_of(grouped(160), 1), ConfigError);
  ModelOptions options;
  options.prefill.attention_tp = 160;
  EXPECT_THROW(make_prefill(cloudmatrix(), deepseek_r1(), options, 320, 8192), ConfigError);
}

Seconds prefill_time(int tp, int prompts) {
  ModelOptions options;
  options.prefill.attention_tp = tp;
  options.prefill.microbatches = 1;
  const PrefillPipeline model = make_prefill(cloudmatrix(), deepseek_r1(), options, 32, 8192);
  const std::vector<PrefillSequence> sequences(static_cast<std::size_t>(prompts), {4096, 0});
  return model.batch({.sequences = sequences}).duration;
}

// Without a group nothing is collected; but a die computes its prompts whole, and with 33 on 32
// dies one has two.
TEST(AttentionGroup, PrefillOfWholePromptsWaitsForTheDieWithMost) {
  EXPECT_LT(prefill_time(1, 32), prefill_time(32, 32));
  const Seconds full = prefill_time(1, 32), one_more = prefill_time(1, 33);
  EXPECT_GT(one_more, 1.2 * full);
  EXPECT_GT(prefill_time(1, 1), prefill_time(32, 1));
  EXPECT_LT(prefill_time(32, 33), 1.05 * prefill_time(32, 32));
}

}  // namespace
}  // namespace cmsim::model
