// Every model under workloads/models: its configuration as Hugging Face publishes it is the same
// model, and what follows from its dimensions is what is published or counted by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"
#include "cmsim/model/architecture.hpp"

namespace cmsim::model {
namespace {

using nlohmann::json;

Architecture shipped(const std::string& name) {
  return load_architecture(CMSIM_SOURCE_DIR "/workloads/models/" + name + ".json");
}

Architecture published(const json& config) {
  const ConfigDocument document = ConfigDocument::from_text(config.dump(), "config.json");
  return read_architecture(ConfigNode(document));
}

std::string config_refusal(const json& config) {
  try {
    published(config);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

void expect_same(Architecture config, const Architecture& ours) {
  EXPECT_EQ(config.name, ours.type);
  config.name = ours.name;
  EXPECT_EQ(config, ours);
}

json deepseek_v32() {
  return json::parse(R"({
    "architectures": ["DeepseekV32ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 0, "eos_token_id": 1, "ep_size": 1, "first_k_dense_replace": 3,
    "hidden_act": "silu", "hidden_size": 7168, "index_head_dim": 128, "index_n_heads": 64,
    "index_topk": 2048, "initializer_range": 0.02, "intermediate_size": 18432, "kv_lora_rank": 512,
    "max_position_embeddings": 163840, "model_type": "deepseek_v32", "moe_intermediate_size": 2048,
    "moe_layer_freq": 1, "n_group": 8, "n_routed_experts": 256, "n_shared_experts": 1,
    "norm_topk_prob": true, "num_attention_heads": 128, "num_experts_per_tok": 8,
    "num_hidden_layers": 61, "num_key_value_heads": 128, "num_nextn_predict_layers": 1,
    "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "quantization_config": {"fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]},
    "rms_norm_eps": 1e-06, "rope_scaling": {"factor": 40, "type": "yarn"}, "rope_theta": 10000,
    "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "tie_word_embeddings": false,
    "topk_group": 4, "topk_method": "noaux_tc", "torch_dtype": "bfloat16", "use_cache": true,
    "v_head_dim": 128, "vocab_size": 129280})");
}

json kimi_k2() {
  return json::parse(R"({
    "architectures": ["DeepseekV3ForCausalLM"], "aux_loss_alpha": 0.001, "first_k_dense_replace": 1,
    "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512, "model_type": "kimi_k2",
    "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 1, "n_routed_experts": 384,
    "n_shared_experts": 1, "num_attention_heads": 64, "num_experts_per_tok": 8,
    "num_hidden_layers": 61, "num_key_value_heads": 64, "num_nextn_predict_layers": 0,
    "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "seq_aux": true,
    "topk_group": 1, "v_head_dim": 128, "vocab_size": 163840})");
}

json glm_5() {
  return json::parse(R"({
    "architectures": ["GlmMoeDsaForCausalLM"], "eos_token_id": [154820, 154827],
    "first_k_dense_replace": 3, "head_dim": 64, "hidden_size": 6144, "index_head_dim": 128,
    "index_n_heads": 32, "index_topk": 2048, "intermediate_size": 12288, "kv_lora_rank": 512,
    "model_type": "glm_moe_dsa", "moe_intermediate_size": 2048, "moe_layer_freq": 1, "n_group": 1,
    "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 64,
    "num_experts_per_tok": 8, "num_hidden_layers": 78, "num_key_value_heads": 64,
    "num_nextn_predict_layers": 1, "q_lora_rank": 2048, "qk_head_dim": 256, "qk_nope_head_dim": 192,
    "qk_rope_head_dim": 64, "topk_group": 1, "v_head_dim": 256, "vocab_size": 154880})");
}

json qwen3() {
  return json::parse(R"({
    "architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false, "decoder_sparse_step": 1,
    "head_dim": 128, "hidden_size": 4096, "intermediate_size": 12288, "max_window_layers": 94,
    "mlp_only_layers": [], "model_type": "qwen3_moe", "moe_intermediate_size": 1536,
    "num_attention_heads": 64, "num_experts": 128, "num_experts_per_tok": 8,
    "num_hidden_layers": 94, "num_key_value_heads": 4, "rope_scaling": null,
    "sliding_window": null, "tie_word_embeddings": false, "use_sliding_window": false,
    "vocab_size": 151936})");
}

json llama() {
  return json::parse(R"({
    "architectures": ["LlamaForCausalLM"], "eos_token_id": [128001, 128008, 128009],
    "head_dim": 128, "hidden_act": "silu", "hidden_size": 8192, "intermediate_size": 28672,
    "mlp_bias": false, "model_type": "llama", "num_attention_heads": 64, "num_hidden_layers": 80,
    "num_key_value_heads": 8, "pretraining_tp": 1, "rope_scaling": {"factor": 8.0},
    "tie_word_embeddings": false, "vocab_size": 128256})");
}

TEST(ShippedModels, AreThoseOfTheirPublishedConfigurations) {
  expect_same(published(deepseek_v32()), shipped("deepseek-v3.2"));
  expect_same(published(kimi_k2()), shipped("kimi-k2"));
  expect_same(published(glm_5()), shipped("glm-5"));
  expect_same(published(qwen3()), shipped("qwen3-235b-a22b"));
  expect_same(published(llama()), shipped("llama-3.3-70b"));
}

// Weights of each matrix by hand, millions. DeepSeek-R1, a layer of attention: down 7168 x 2112 =
// 15.14, queries 1536 x 128 x 192 = 37.75, keys and values 512 x 128 x 256 = 16.78, output
// 16384 x 7168 = 117.44.
TEST(ShippedModels, AttentionHasTheWeightsOfItsMatrices) {
  EXPECT_EQ(shipped("deepseek-r1").attention_parameters(), 187'105'280);
  // and the indexer: 1536 x 64 x 128 + 7168 x 128 + 7168 x 64
  EXPECT_EQ(shipped("deepseek-v3.2").indexer_parameters(), 13'959'168);
  EXPECT_EQ(shipped("deepseek-v3.2").attention_parameters(), 187'105'280 + 13'959'168);
  // 7168 x 2112 + 1536 x 64 x 192 + 512 x 64 x 256 + 8192 x 7168
  EXPECT_EQ(shipped("kimi-k2").attention_parameters(), 101'122'048);
  // 6144 x 2624 + 2048 x 64 x 256 + 512 x 64 x 448 + 16384 x 6144, indexer 2048 x 32 x 128 +
  // 6144 x 160
  EXPECT_EQ(shipped("glm-5").attention_parameters(), 165'019'648 + 9'371'648);
  // 4096 x (64 + 2 x 4) x 128 + 8192 x 4096
  EXPECT_EQ(shipped("qwen3-235b-a22b").attention_parameters(), 71'303'168);
  // 8192 x (64 + 2 x 8) x 128 + 8192 x 8192
  EXPECT_EQ(shipped("llama-3.3-70b").attention_parameters(), 150'994'944);
}

TEST(ShippedModels, HaveThePublishedNumberOfParameters) {
  struct Published {
    const char* name;
    double total, active;
  };
  for (const auto& [name, total, active] :
       {Published{"deepseek-r1", 671e9, 37e9}, Published{"deepseek-v3.2", 671e9, 37e9},
        Published{"kimi-k2", 1.03e12, 32e9}, Published{"glm-5", 744e9, 40e9},
        Published{"qwen3-235b-a22b", 235e9, 22e9}, Published{"llama-3.3-70b", 70.6e9, 69.5e9}}) {
    const Architecture model = shipped(name);
    EXPECT_NEAR(model.parameters() / total, 1, 0.02) << name;
    EXPECT_NEAR(model.active_parameters() / active, 1, 0.025) << name;  // rounded to a billion
  }
}

TEST(ShippedModels, KeepTheKvOfTheirKindOfAttention) {
  const Architecture r1 = shipped("deepseek-r1");
  EXPECT_EQ(r1.kv_bytes_per_token(2), 70'272);                      // (512 + 64) x 2 B x 61
  EXPECT_EQ(r1.kv_bytes_per_token(2, KvLayers::kWithMtp), 71'424);  // x 62
  EXPECT_EQ(shipped("kimi-k2").kv_bytes_per_token(2, KvLayers::kWithMtp), 70'272);
  EXPECT_EQ(shipped("deepseek-v3.2").kv_bytes_per_token_layer(2), 1'280);  // and 128 x 1 B
  EXPECT_EQ(shipped("deepseek-v3.2").kv_bytes_per_token_layer(1), 704);
  EXPECT_EQ(shipped("glm-5").kv_bytes_per_token(2), 99'840);             // 1,280 B x 78
  EXPECT_EQ(shipped("qwen3-235b-a22b").kv_bytes_per_token(2), 192'512);  // 2 x 4 x 128 x 2 B x 94
  EXPECT_EQ(shipped("llama-3.3-70b").kv_bytes_per_token(2), 327'680);    // 2 x 8 x 128 x 2 B x 80
}

TEST(ShippedModels, ALlamaMayLeaveOutItsHeads) {
  json config = llama();
  config.erase("head_dim");
  config["num_key_value_heads"] = nullptr;
  EXPECT_EQ(*published(config).grouped(), (GroupedAttention{.kv_heads = 64, .head_dim = 128}));
}

TEST(ShippedModels, LayersThatAreNotModelledAreRefused) {
  const auto with = [](json config, const char* key, const json& value) {
    config[key] = value;
    return config_refusal(config);
  };
  const auto names = [](const char* key, const char* allowed) {
    return testing::AllOf(testing::HasSubstr(key), testing::HasSubstr(allowed));
  };
  EXPECT_THAT(with(qwen3(), "mlp_only_layers", {0, 1}),
              names("/mlp_only_layers: found [0,1]", "allowed is []"));
  EXPECT_THAT(with(qwen3(), "decoder_sparse_step", 2),
              names("/decoder_sparse_step: found 2", "allowed is 1"));
  EXPECT_THAT(with(qwen3(), "use_sliding_window", true),
              names("/use_sliding_window: found true", "allowed is false"));
  EXPECT_THAT(with(llama(), "num_key_value_heads", 7),
              names("/num_key_value_heads: found 7", "num_attention_heads (64)"));
  json config = deepseek_v32();
  config.erase("index_topk");
  EXPECT_THAT(config_refusal(config), names("/index_topk", "missing"));
  config = qwen3();
  config.erase("num_experts");
  EXPECT_THAT(config_refusal(config), names("/num_experts", "missing"));
}

TEST(ShippedModels, AFileOfOursIsOfOneKind) {
  const auto read = [](json change) {
    json model = json::parse(R"({"name": "small", "layers": 2, "dense_layers": 2, "hidden": 512,
        "heads": 8, "kv_heads": 2, "head_dim": 64, "dense_intermediate": 1024, "vocabulary": 1000,
        "mtp_layers": 0})");
    model.merge_patch(change);
    return config_refusal(model);
  };
  EXPECT_EQ(read(json::object()), "");
  EXPECT_THAT(read({{"dense_layers", 1}}), testing::HasSubstr("/routed_experts: missing"));
  EXPECT_THAT(read({{"mtp_layers", 1}}), testing::HasSubstr("/routed_experts: missing"));
  EXPECT_THAT(read({{"kv_heads", nullptr}, {"head_dim", nullptr}}),
              testing::HasSubstr("/q_lora_rank: missing"));
  EXPECT_THAT(read({{"kv_lora_rank", 64},
                    {"q_lora_rank", 64},
                    {"rope_head_dim", 8},
                    {"nope_head_dim", 8},
                    {"v_head_dim", 8}}),
              testing::HasSubstr("/kv_heads: found 2, allowed is none"));
  EXPECT_THAT(read({{"indexer_heads", 8}}), testing::HasSubstr("/indexer_heads: unknown key"));
}

}  // namespace
}  // namespace cmsim::model
