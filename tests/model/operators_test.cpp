#include "cmsim/model/operators.hpp"

#include <gtest/gtest.h>

#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

OperatorList published(PrecisionOptions precision = {}) {
  return OperatorList(deepseek_r1(), precision);
}

OperatorList of_shipped(const std::string& name, PrecisionOptions precision = {}) {
  return OperatorList(load_architecture(CMSIM_SOURCE_DIR "/workloads/models/" + name + ".json"),
                      precision);
}

constexpr PrecisionOptions kAllBf16{.attention_projections = Precision::kBf16,
                                    .experts = Precision::kBf16,
                                    .dispatch = Precision::kBf16,
                                    .kv_cache = Precision::kBf16};

// down 7168 x (1536 + 576) = 15,138,816; up 1536 x 128 x 192 = 37,748,736; together 52,887,552 in
// INT8. Absorbed key projection 128 x 128 x 512 = 8,388,608 in BF16.
constexpr double kPrologInt8 = 52'887'552, kAbsorbed = 8'388'608;

TEST(Operators, LatentPrologStreamsItsWeightsAndComputesOnTokens) {
  const OperatorWork idle = published().attention_prolog(0), ten = published().attention_prolog(10);
  EXPECT_EQ(idle.hbm_bytes, kPrologInt8 + 2 * kAbsorbed);  // 69,664,768
  EXPECT_EQ(idle.int8_ops + idle.bf16_ops, 0);
  EXPECT_EQ(ten.int8_ops, 2 * 10 * kPrologInt8);
  EXPECT_EQ(ten.bf16_ops, 2 * 10 * kAbsorbed);
  // A token reads and writes 2 x 7168 values, and writes 128 heads of 576: 88,064 x 2 B
  EXPECT_EQ(ten.hbm_bytes - idle.hbm_bytes, 10 * 176'128);
}

TEST(Operators, FusedAttentionReadsKvOnceForAllRowsOfASequence) {
  // 2 x 128 x (576 + 512) = 278,528 operations per row and context token; 576 x 2 B = 1,152 B.
  const OperatorWork one = published().attention(1, 1000, 1);
  const OperatorWork two = published().attention(1, 1000, 2);
  EXPECT_EQ(one.attention_ops, 278'528'000);
  EXPECT_EQ(two.attention_ops, 557'056'000);
  EXPECT_EQ(one.hbm_bytes, 1'152'000);
  EXPECT_EQ(two.hbm_bytes, one.hbm_bytes);
}

TEST(Operators, OutputProjectionStreamsItsWeights) {
  // 128 x 128 x 7168 = 117,440,512 in INT8 and the absorbed value projection in BF16.
  const OperatorWork idle = published().o_proj(0), one = published().o_proj(1);
  EXPECT_EQ(idle.hbm_bytes, 117'440'512 + 2 * kAbsorbed);
  EXPECT_EQ(one.int8_ops, 2 * 117'440'512.0);
  EXPECT_EQ(one.bf16_ops, 2 * kAbsorbed);
  // (128 x (512 + 128) + 7168) x 2 B
  EXPECT_EQ(one.hbm_bytes - idle.hbm_bytes, 178'176);
}

TEST(Operators, ExpertsStreamEachCopyAndComputeOnRows) {
  // 3 x 7168 x 2048 = 44,040,192 weights
  EXPECT_EQ(published().expert_weight_bytes(), 44'040'192);
  const OperatorWork idle = published().expert_ffn(0, 10), row = published().expert_ffn(1, 10);
  EXPECT_EQ(idle.hbm_bytes, 440'401'920);
  EXPECT_EQ(idle.int8_ops, 0);
  EXPECT_EQ(row.int8_ops, 2 * 44'040'192.0);
  // up reads 7168 B, writes 2 x 2048 x 2 B; activation reads 8192 B, writes 2048 B; down reads 2048
  // B, writes 7168 x 2 B: 15,360 + 10,240 + 16,384
  EXPECT_EQ(row.hbm_bytes - idle.hbm_bytes, 41'984);
  EXPECT_EQ(row.stages, 3);
}

TEST(Operators, ExpertFfnIsItsThreeParts) {
  const OperatorList list = published();
  OperatorWork parts = list.expert_up(100, 9);
  parts += list.expert_activation(100);
  parts += list.expert_down(100, 9);
  const OperatorWork whole = list.expert_ffn(100, 9);
  EXPECT_EQ(whole.int8_ops, parts.int8_ops);
  EXPECT_EQ(whole.hbm_bytes, parts.hbm_bytes);
  EXPECT_EQ(whole.stages, parts.stages);
}

TEST(Operators, OtherWeightsHaveTheShapesOfTheModel) {
  const OperatorList list = published();
  EXPECT_EQ(list.dense_weight_bytes(), 396'361'728);   // 3 x 7168 x 18432
  EXPECT_EQ(list.router_weight_bytes(), 3'670'016);    // 7168 x 256 x 2 B
  EXPECT_EQ(list.head_weight_bytes(), 1'853'358'080);  // 7168 x 129280 x 2 B
  EXPECT_EQ(list.mtp_weight_bytes(), 102'760'448);     // 2 x 7168^2
  EXPECT_EQ(list.mtp_projection(0).hbm_bytes, list.mtp_weight_bytes());
  EXPECT_EQ(list.gate(0).hbm_bytes, list.router_weight_bytes());
  EXPECT_EQ(list.lm_head(0).hbm_bytes, list.head_weight_bytes());
  EXPECT_EQ(list.dense_ffn(0).hbm_bytes, list.dense_weight_bytes());
  EXPECT_EQ(list.gate(3).bf16_ops, 2.0 * 3 * 7168 * 256);
  EXPECT_EQ(list.lm_head(3).bf16_ops, 2.0 * 3 * 7168 * 129280);
  EXPECT_EQ(list.dense_ffn(3).int8_ops, 2.0 * 3 * 3 * 7168 * 18432);
  EXPECT_EQ(list.mtp_projection(3).int8_ops, 2.0 * 3 * 2 * 7168 * 7168);
}

TEST(Operators, AttentionWeightsAreThoseTheDecodeOperatorsStream) {
  // INT8 15,138,816 + 37,748,736 + 117,440,512 = 170,328,064; BF16 512 x 128 x 256 x 2 B =
  // 33,554,432
  const OperatorList list = published();
  EXPECT_EQ(list.attention_weight_bytes(), 203'882'496);
  EXPECT_EQ(list.attention_prolog(0).hbm_bytes + list.o_proj(0).hbm_bytes,
            list.attention_weight_bytes());
}

TEST(Operators, MessagesAndCacheHaveThePublishedSizes) {
  const OperatorList list = published();
  EXPECT_EQ(list.dispatch_message_bytes(), 7'680);    // 7168 + 512: 7.5 KiB
  EXPECT_EQ(list.combine_message_bytes(), 14'336);    // 7168 x 2 B: 14 KiB
  EXPECT_EQ(list.kv_bytes_per_token_layer(), 1'152);  // (512 + 64) x 2 B
  EXPECT_EQ(list.latent_bytes(), 4'224);              // (1536 + 512 + 64) x 2 B
  EXPECT_EQ(list.gathered_bytes(), 4'224);
  EXPECT_EQ(list.gathered_cached_bytes(), 1'152);
  // The architecture's KV over 61 layers: 70,272 B
  EXPECT_EQ(deepseek_r1().kv_bytes_per_token(2), 70'272);
}

TEST(Operators, Bf16MovesWorkAndDoublesWeights) {
  const OperatorList wide = published(kAllBf16), narrow = published();
  EXPECT_EQ(wide.expert_weight_bytes(), 2 * narrow.expert_weight_bytes());
  EXPECT_EQ(wide.dispatch_message_bytes(), 14'336);
  EXPECT_EQ(wide.attention_prolog(1).int8_ops, 0);
  EXPECT_EQ(wide.attention_prolog(1).bf16_ops, 2 * (kPrologInt8 + kAbsorbed));
  EXPECT_EQ(wide.attention_prolog(0).hbm_bytes, 2 * (kPrologInt8 + kAbsorbed));
  EXPECT_EQ(wide.expert_ffn(5, 1).int8_ops, 0);
  EXPECT_EQ(published({.kv_cache = Precision::kInt8}).kv_bytes_per_token_layer(), 576);
}

TEST(Operators, PrefillExpandsKeysAndValuesPerHead) {
  const OperatorList list = published();
  // 2 x 4 heads x (192 + 128) x 1000 pairs = 2,560,000
  EXPECT_EQ(list.prefill_attention(1000, 0, 0, 4).attention_ops, 2'560'000);
  // queries 1536 x 4 x 192 = 1,179,648 for new tokens; 512 x 4 x 256 = 524,288 for the context
  const OperatorWork up = list.prefill_head_projection(10, 30, 4);
  EXPECT_EQ(up.int8_ops, 2 * (10 * 1'179'648.0 + 30 * 524'288.0));
  EXPECT_EQ(list.prefill_head_projection(0, 0, 4).hbm_bytes, 1'179'648 + 524'288);
  EXPECT_EQ(list.prefill_down_projection(10).int8_ops, 2 * 10 * 15'138'816.0);
  EXPECT_EQ(list.prefill_o_proj(10, 128).int8_ops, 2 * 10 * 117'440'512.0);
}

TEST(Operators, ExchangeWorkIsPassesOverRows) {
  const OperatorList list = published();
  EXPECT_EQ(list.dispatch_pack(10).hbm_bytes, 10 * (14'336 + 7'680));
  EXPECT_EQ(list.dispatch_unpack(10).hbm_bytes, 20 * 7'680);
  EXPECT_EQ(list.combine_pack(10).hbm_bytes, 20 * 14'336);
  EXPECT_EQ(list.combine_reduce(2, 16).hbm_bytes, 18 * 14'336);
}

// ---------------------------------------------------------------- GQA: Qwen3-235B

// Queries, keys and values 4096 x (64 + 2 x 4) x 128 = 37,748,736, output 8192 x 4096 = 33,554,432.
constexpr double kQkv = 37'748'736, kOutput = 33'554'432;

TEST(GroupedOperators, DecodeStreamsWeightsAndReadsKvOnceForAllRows) {
  const OperatorList list = of_shipped("qwen3-235b-a22b");
  EXPECT_EQ(list.attention_prolog(0).hbm_bytes, kQkv);
  EXPECT_EQ(list.attention_prolog(10).int8_ops, 2 * 10 * kQkv);
  // A token reads and writes 2 x 4096 values and writes 72 heads of 128
  EXPECT_EQ(list.attention_prolog(1).hbm_bytes - kQkv, 2 * (8'192 + 9'216));
  // A row and context token: 2 x 64 x (128 + 128); KV 2 x 4 x 128 x 2 B = 2,048 B
  const OperatorWork one = list.attention(1, 1000, 1), two = list.attention(1, 1000, 2);
  EXPECT_EQ(one.attention_ops, 32'768'000);
  EXPECT_EQ(two.attention_ops, 65'536'000);
  EXPECT_EQ(one.hbm_bytes, 2'048'000);
  EXPECT_EQ(two.hbm_bytes, one.hbm_bytes);
  EXPECT_EQ(list.kv_bytes_per_token_layer(), 2'048);
  EXPECT_EQ(list.o_proj(0).hbm_bytes, kOutput);
  EXPECT_EQ(list.o_proj(3).int8_ops, 2 * 3 * kOutput);
  EXPECT_EQ(list.attention_weight_bytes(), kQkv + kOutput);
}

TEST(GroupedOperators, PrefillDividesHeadsAndTheirWeightsAmongRanks) {
  const OperatorList list = of_shipped("qwen3-235b-a22b");
  // 2 of 64 heads and the one KV head they share: 4096 x 128 x (2 + 2)
  const OperatorWork qkv = list.prefill_head_projection(10, 30, 2);
  EXPECT_EQ(qkv.int8_ops, 2 * 10 * 2'097'152.0);
  // reads 4096 INT8, writes 4 heads of 128 BF16
  EXPECT_EQ(qkv.hbm_bytes, 2'097'152 + 10 * (4'096 + 1'024));
  EXPECT_EQ(list.prefill_attention(1000, 0, 0, 2).attention_ops, 1000 * 2 * 2 * 256);
  // tokens: 2 heads of queries and outputs; context: a KV head
  EXPECT_EQ(list.prefill_attention(0, 10, 30, 2).hbm_bytes, 10 * 2 * 512 + 30 * 512);
  EXPECT_EQ(list.prefill_o_proj(10, 2).int8_ops, 2 * 10 * 256.0 * 4096);
  EXPECT_EQ(list.prefill_attention_weight_bytes(32), 2'097'152 + 256 * 4096);
  EXPECT_EQ(list.prefill_attention_weight_bytes(1), list.attention_weight_bytes());
  EXPECT_EQ(list.prefill_partial_sum(10, 32).hbm_bytes, 10 * 33 * 8'192);
  EXPECT_EQ(list.gathered_bytes(), 4'096);
  EXPECT_EQ(of_shipped("qwen3-235b-a22b", kAllBf16).gathered_bytes(), 8'192);
  EXPECT_EQ(list.gathered_cached_bytes(), 0);
}

TEST(GroupedOperators, ARankHasItsShareOfADenseLayer) {
  const OperatorList list = of_shipped("llama-3.3-70b");
  EXPECT_EQ(list.dense_weight_bytes(), 704'643'072);  // 3 x 8192 x 28672
  EXPECT_EQ(list.dense_ffn(0, 1.0 / 32).hbm_bytes, 22'020'096);
  EXPECT_EQ(list.dense_ffn(10, 1.0 / 32).int8_ops, 2 * 10 * 22'020'096.0);
}

// ---------------------------------------------------------------- DSA: DeepSeek-V3.2

TEST(SparseOperators, TheIndexerScoresEveryCachedTokenByAKeyOfItsOwn) {
  const OperatorList list = of_shipped("deepseek-v3.2");
  constexpr double kWeights = 13'959'168;  // 1536 x 8192 + 7168 x 192
  EXPECT_EQ(list.indexer(0, 0, 1).hbm_bytes, kWeights);
  // 3 sequences with 100,000 tokens and 2 rows each: 2 x 64 x 128 operations a row and token
  const OperatorWork work = list.indexer(3, 100'000, 2);
  EXPECT_EQ(work.int8_ops, 2 * 6 * kWeights + 16'384 * 200'000.0);
  // A key has 128 B; a row reads its query latent and hidden state and writes 64 heads of 128
  EXPECT_EQ(work.hbm_bytes, kWeights + 100'000 * 128.0 + 6 * 2 * (1'536 + 7'168 + 8'192));
  EXPECT_EQ(work.stages, 3);
  EXPECT_EQ(list.kv_bytes_per_token_layer(), 1'152 + 128);
}

TEST(SparseOperators, AttentionReadsTheChosenTokens) {
  const OperatorList list = of_shipped("deepseek-v3.2"), dense = published();
  // Shorter than top-k: all of it.
  EXPECT_EQ(list.attention(1, 2'000, 2).attention_ops, dense.attention(1, 2'000, 2).attention_ops);
  EXPECT_EQ(list.attention(1, 2'000, 2).hbm_bytes, dense.attention(1, 2'000, 2).hbm_bytes);
  // 3 sequences, 100,000 tokens: 2,048 for each row, whose choices are their own
  const OperatorWork work = list.attention(3, 100'000, 2);
  EXPECT_EQ(work.attention_ops, 278'528.0 * 3 * 2'048 * 2);
  EXPECT_EQ(work.hbm_bytes, 1'152.0 * 3 * 2'048 * 2);
}

TEST(SparseOperators, RanksOfAPrefillCollectKeysAndChoices) {
  const OperatorList list = of_shipped("deepseek-v3.2");
  EXPECT_EQ(list.gathered_bytes(), 4'224 + 128);
  EXPECT_EQ(list.gathered_cached_bytes(), 1'152 + 128);
  EXPECT_EQ(list.chosen_bytes(4'000), 500);
  EXPECT_EQ(list.chosen_bytes(100'000), 8'192);
  EXPECT_EQ(list.prefill_indexer(1000, 0, 0).int8_ops, 16'384'000);
  EXPECT_EQ(published().prefill_indexer(1000, 10, 10).hbm_bytes, 0);
  EXPECT_EQ(published().indexer(1, 1000, 1).stages, 0);
}

TEST(SparseOperators, WeightsAreThoseTheDecodeOperatorsStream) {
  for (const char* name : {"deepseek-v3.2", "glm-5", "kimi-k2", "qwen3-235b-a22b"}) {
    const OperatorList list = of_shipped(name);
    EXPECT_EQ(list.attention_prolog(0).hbm_bytes + list.indexer(0, 0, 1).hbm_bytes +
                  list.o_proj(0).hbm_bytes,
              list.attention_weight_bytes())
        << name;
  }
}

// INT8 attention does the same operations at the 8-bit rate, and is as near its peak.
TEST(Operators, AttentionRunsInEitherPrecision) {
  PrecisionOptions precision;
  precision.attention = Precision::kInt8;
  const OperatorList list(deepseek_r1(), precision);
  const OperatorWork wide = published().attention(4, 16'384, 2),
                     narrow = list.attention(4, 16'384, 2);
  EXPECT_EQ(narrow.attention_ops, 0);
  EXPECT_EQ(narrow.attention_int8_ops, wide.attention_ops);
  EXPECT_EQ(narrow.hbm_bytes, wide.hbm_bytes);  // what the cache keeps is another option
  const Device device(cloudmatrix());
  EXPECT_DOUBLE_EQ(device.cost(narrow, 1).compute, device.cost(wide, 1).compute / 2);
  EXPECT_EQ(device.cost(narrow, 1).overlap, device.cost(wide, 1).overlap);
  EXPECT_EQ(list.prefill_attention(10, 4, 4, 8).attention_ops, 0);
}

}  // namespace
}  // namespace cmsim::model
