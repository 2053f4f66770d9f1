#include "cmsim/model/memory.hpp"

#include <gtest/gtest.h>

#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

// Attention 62 x 203,882,496 + MTP projection 102,760,448 + dense 3 x 396,361,728 + routers
// 59 x 3,670,016 + embedding and head 2 x 1,853,358,080 = 17,855,807,488 B beside the experts.
constexpr double kWithoutExperts = 17'855'807'488;
constexpr double kExpert = 44'040'192;

MemoryPlan decode_plan(int ranks, double max_tokens) {
  const OperatorList operators(deepseek_r1(), {});
  const hw::Platform platform = cloudmatrix();
  return plan_decode_memory(platform, operators, derive_layout(deepseek_r1(), ranks),
                            ExchangeKind::kFused, max_tokens);
}

TEST(Memory, DecodeDieOfEp320KeepsOneExpertALayer) {
  const MemoryPlan plan = decode_plan(320, 96);
  EXPECT_EQ(plan.weights, kWithoutExperts + 59 * kExpert);  // 20,454,178,816
  // P: 320 x 96 x 7.5 KiB = 225 MiB and 320 x 96 x 14 KiB = 420 MiB
  EXPECT_EQ(plan.buffers, (225.0 + 420.0) * 1024 * 1024);
  EXPECT_EQ(plan.reserved, 4e9);
  EXPECT_EQ(plan.capacity, 64e9);
  EXPECT_EQ(plan.kv_bytes_per_token, 1'152 * 62);  // 61 layers and the MTP layer
  // (64e9 - 20,454,178,816 - 676,331,520 - 4e9) / 71,424 = 38,869,489,664 / 71,424 = 544,207.68
  EXPECT_EQ(plan.kv_tokens(), 544'207);
}

TEST(Memory, PrefillDieOfEp32KeepsTenExpertsALayer) {
  const OperatorList operators(deepseek_r1(), {});
  const MemoryPlan plan =
      plan_prefill_memory(cloudmatrix(), operators, derive_layout(deepseek_r1(), 32), 32, 1000);
  EXPECT_EQ(plan.weights, kWithoutExperts + 59 * 10 * kExpert);  // 43.84 GB
  EXPECT_EQ(plan.buffers, 2.0 * 1000 * 8 * (7'680 + 14'336));    // both directions of top-8 rows
}

TEST(Memory, NothingIsLeftOnTooFewDies) {
  // EP8: 1 + 36 experts a layer, 59 x 37 x 44.04 MB = 96 GB on a die of 64 GB
  const MemoryPlan plan = decode_plan(8, 96);
  EXPECT_LT(plan.free(), 0);
  EXPECT_EQ(plan.kv_tokens(), 0);
}

TEST(Memory, SharedExpertsLieOnTheDieThatHoldsMost) {
  const hw::Platform platform = cloudmatrix();
  const auto weights = [&](int shared, int ranks) {
    Architecture model = deepseek_r1();
    model.shared_experts = shared;
    return plan_prefill_memory(platform, OperatorList(model, {}), derive_layout(model, ranks),
                               ranks, 1)
        .weights;
  };
  // EP32, a copy on every rank: 9 routed slots and all shared experts.
  EXPECT_EQ(weights(1, 32), kWithoutExperts + 59 * (9 + 1) * kExpert);
  EXPECT_EQ(weights(2, 32), kWithoutExperts + 59 * (9 + 2) * kExpert);
  EXPECT_EQ(weights(16, 32), kWithoutExperts + 59 * (9 + 16) * kExpert);
  // EP320, 32 ranks with a copy and nothing else, 288 with one routed slot: one shared expert is as
  // much as one routed, two are more.
  EXPECT_EQ(weights(1, 320), kWithoutExperts + 59 * 1 * kExpert);
  EXPECT_EQ(weights(2, 320), kWithoutExperts + 59 * 2 * kExpert);
  // EP288 without any: one routed slot on each rank, 256 of them and 32 redundant.
  EXPECT_EQ(weights(0, 288), kWithoutExperts + 59 * 1 * kExpert);
  EXPECT_GT(weights(256, 320), 64e9);  // 683 GB: does not fit
}

TEST(Memory, LargerBatchesLeaveLessForKv) {
  EXPECT_LT(decode_plan(320, 256).kv_tokens(), decode_plan(320, 96).kv_tokens());
}

// A layer of Llama-3.3-70B: attention 150,994,944 and FFN 704,643,072 weights; embedding and head
// 2 x 8192 x 128256 x 2 B = 4,202,692,608 B. As every decode die has it, in INT8: 72.65 GB.
TEST(Memory, ADenseModelIsWholeOnADecodeDieAndDividedInPrefill) {
  const Architecture llama =
      load_architecture(CMSIM_SOURCE_DIR "/workloads/models/llama-3.3-70b.json");
  const ExpertLayout layout = derive_layout(llama, 32);
  const auto decode = [&](Precision precision) {
    const OperatorList operators(llama, {.attention_projections = precision, .experts = precision});
    return plan_decode_memory(cloudmatrix(), operators, layout, ExchangeKind::kFused, 96);
  };
  const MemoryPlan narrow = decode(Precision::kInt8), wide = decode(Precision::kBf16);
  EXPECT_EQ(narrow.weights, 80 * (150'994'944.0 + 704'643'072) + 4'202'692'608);
  EXPECT_EQ(wide.weights, 160 * (150'994'944.0 + 704'643'072) + 4'202'692'608);
  EXPECT_EQ(narrow.kv_tokens(), 0);  // of 64 GB
  EXPECT_EQ(wide.kv_tokens(), 0);
  EXPECT_EQ(narrow.buffers, 0);  // nothing is exchanged
  EXPECT_EQ(narrow.kv_bytes_per_token, 327'680);
  // 2 heads and a KV head: 8192 x 128 x 4 + 256 x 8192 = 6,291,456; 1/32 of the FFN 22,020,096
  const MemoryPlan prefill =
      plan_prefill_memory(cloudmatrix(), OperatorList(llama, {}), layout, layout.ranks, 1);
  EXPECT_EQ(prefill.weights, 80 * (6'291'456.0 + 22'020'096) + 4'202'692'608);
  EXPECT_EQ(prefill.buffers, 0);
  EXPECT_EQ(prefill.kv_bytes_per_token, 4 * 327'680);  // 32 ranks with a KV head each, of 8
  EXPECT_GT(prefill.kv_tokens(), 0);
}

TEST(Memory, KeepsTheKeysOfTheIndexer) {
  const Architecture sparse =
      load_architecture(CMSIM_SOURCE_DIR "/workloads/models/deepseek-v3.2.json");
  const MemoryPlan plan = plan_decode_memory(cloudmatrix(), OperatorList(sparse, {}),
                                             derive_layout(sparse, 320), ExchangeKind::kFused, 96);
  EXPECT_EQ(plan.kv_bytes_per_token, 62 * (1'152 + 128));
  EXPECT_EQ(plan.weights, kWithoutExperts + 59 * kExpert + 62 * 13'959'168);
}

}  // namespace
}  // namespace cmsim::model
