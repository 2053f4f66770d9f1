#include "cmsim/model/architecture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"

namespace cmsim::model {
namespace {

using nlohmann::json;

/// DeepSeek-V3's configuration, with keys that say no dimension and one that is null.
json config_json() {
  return json::parse(R"({
    "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
    "num_hidden_layers": 61, "first_k_dense_replace": 3, "hidden_size": 7168,
    "num_attention_heads": 128, "num_key_value_heads": 128, "q_lora_rank": 1536,
    "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "n_routed_experts": 256, "num_experts_per_tok": 8, "n_shared_experts": 1, "n_group": 8,
    "topk_group": 4, "moe_intermediate_size": 2048, "intermediate_size": 18432,
    "vocab_size": 129280, "num_nextn_predict_layers": 1, "rope_scaling": {"factor": 40},
    "torch_dtype": "bfloat16", "pad_token_id": null})");
}

Architecture read_model(const json& text) {
  const ConfigDocument document = ConfigDocument::from_text(text.dump(), "config.json");
  return read_architecture(ConfigNode(document));
}

std::string model_refusal(const json& text) {
  try {
    read_model(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Architecture, OfAConfigJsonIsThatOfOurFile) {
  const Architecture ours =
      load_architecture(CMSIM_SOURCE_DIR "/workloads/models/deepseek-r1.json");
  Architecture theirs = read_model(config_json());
  EXPECT_EQ(theirs.name, "deepseek_v3");
  theirs.name = ours.name;
  EXPECT_EQ(theirs, ours);
}

TEST(Architecture, AConfigJsonMayLeaveOutWhatItDoesNotHave) {
  json config = config_json();
  for (const char* key : {"n_group", "topk_group", "num_nextn_predict_layers"}) config.erase(key);
  const Architecture read_back = read_model(config);
  EXPECT_EQ(read_back.expert_groups, 1);
  EXPECT_EQ(read_back.groups_per_token, 1);
  EXPECT_EQ(read_back.mtp_layers, 0);
}

TEST(Architecture, AnotherKindOfModelIsRefused) {
  json config = config_json();
  config["model_type"] = "mixtral";
  EXPECT_THAT(model_refusal(config),
              testing::AllOf(testing::HasSubstr("/model_type"), testing::HasSubstr("mixtral"),
                             testing::HasSubstr("kimi_k2"), testing::HasSubstr("llama")));
}

TEST(Architecture, ErrorsNameTheKeysOfTheFile) {
  json config = config_json();
  config["topk_group"] = 9;
  EXPECT_THAT(model_refusal(config), testing::HasSubstr("allowed is at most n_group (8)"));
  config = config_json();
  config.erase("hidden_size");
  EXPECT_THAT(model_refusal(config), testing::HasSubstr("hidden_size"));
}

}  // namespace
}  // namespace cmsim::model
