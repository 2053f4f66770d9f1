#include "cmsim/model/architecture.hpp"

#include <fmt/format.h>

#include <limits>

namespace cmsim::model {
namespace {

// Far beyond any published model (the largest of each kind is named), so that what they bound ends
// soon and their products fit.
constexpr int kMostLayers = 1000;           // Llama 3.1 405B: 126
constexpr int kMostMtpLayers = 16;          // DeepSeek-V3: 1
constexpr int kMostHidden = 1 << 17;        // PaLM 540B: 18,432
constexpr int kMostHeads = 1024;            // Llama 3.1 405B: 128
constexpr int kMostRank = 1 << 16;          // DeepSeek-V3: 1,536
constexpr int kMostHeadDim = 4096;          // Gemma: 256
constexpr int kMostExperts = 4096;          // Switch-C: 2,048
constexpr int kMostSharedExperts = 256;     // DeepSeekMoE: 2
constexpr int kMostIntermediate = 1 << 20;  // PaLM 540B: 73,728
constexpr int kMostVocabulary = 1 << 24;    // Gemma: 262,144
constexpr std::int64_t kMostOfAnInt = std::numeric_limits<int>::max();
static_assert(std::int64_t{kMostHeads} * (kMostRank + kMostHeadDim) < kMostOfAnInt &&
                  2 * kMostHidden + 2 * kMostRank < kMostOfAnInt,
              "operators.cpp adds and multiplies dimensions as int");

/// Of Hugging Face's config.json, those whose attention is the one that is modelled: MLA over all
/// of the context.
const std::vector<std::string> kModelTypes = {"deepseek_v3", "kimi_k2"};

/// The dimensions of a model by the keys of its file: ours, or those of a config.json.
class ModelKeys {
 public:
  explicit ModelKeys(const ConfigNode& node)
      : node_(node), is_config_json_(node.has("model_type") && !node.has("layers")) {
    if (is_config_json_) node.choice("model_type", kModelTypes);
  }

  bool is_config_json() const { return is_config_json_; }
  std::string_view key(std::string_view ours, std::string_view theirs) const {
    return is_config_json_ ? theirs : ours;
  }
  int count(std::string_view ours, std::string_view theirs, int most, int least = 1) const {
    return static_cast<int>(node_.integer(key(ours, theirs), least, most));
  }
  /// What a config.json may leave out.
  int count_or(int otherwise, std::string_view ours, std::string_view theirs, int most,
               int least) const {
    if (is_config_json_ && !node_.has(theirs)) return otherwise;
    return count(ours, theirs, most, least);
  }
  /// A config.json says much that has nothing to do with time.
  void close() const {
    if (is_config_json_) {
      for (const std::string& key : node_.keys()) node_.ignore(key);
    }
    node_.close();
  }

 private:
  const ConfigNode& node_;
  bool is_config_json_;
};

}  // namespace

Architecture read_architecture(const ConfigNode& node) {
  const ModelKeys keys(node);
  Architecture a;
  a.type = keys.is_config_json() ? node.text("model_type") : node.text_or("model_type", "");
  a.name = keys.is_config_json() ? node.text_or("_name_or_path", "") : node.text("name");
  if (a.name.empty()) a.name = a.type;
  a.layers = keys.count("layers", "num_hidden_layers", kMostLayers);
  a.dense_layers = keys.count_or(0, "dense_layers", "first_k_dense_replace", kMostLayers, 0);
  a.hidden = keys.count("hidden", "hidden_size", kMostHidden);
  a.heads = keys.count("heads", "num_attention_heads", kMostHeads);
  a.q_lora_rank = keys.count("q_lora_rank", "q_lora_rank", kMostRank);
  a.kv_lora_rank = keys.count("kv_lora_rank", "kv_lora_rank", kMostRank);
  a.rope_head_dim = keys.count("rope_head_dim", "qk_rope_head_dim", kMostHeadDim);
  a.nope_head_dim = keys.count("nope_head_dim", "qk_nope_head_dim", kMostHeadDim);
  a.v_head_dim = keys.count("v_head_dim", "v_head_dim", kMostHeadDim);
  a.routed_experts = keys.count("routed_experts", "n_routed_experts", kMostExperts);
  a.shared_experts = keys.count_or(0, "shared_experts", "n_shared_experts", kMostSharedExperts, 0);
  a.experts_per_token = keys.count("experts_per_token", "num_experts_per_tok", kMostExperts);
  a.expert_groups = keys.count_or(1, "expert_groups", "n_group", kMostExperts, 1);
  a.groups_per_token = keys.count_or(1, "groups_per_token", "topk_group", kMostExperts, 1);
  a.expert_intermediate =
      keys.count("expert_intermediate", "moe_intermediate_size", kMostIntermediate);
  a.dense_intermediate = keys.count("dense_intermediate", "intermediate_size", kMostIntermediate);
  a.vocabulary = keys.count("vocabulary", "vocab_size", kMostVocabulary);
  a.mtp_layers = keys.count_or(0, "mtp_layers", "num_nextn_predict_layers", kMostMtpLayers, 0);
  keys.close();
  const auto at_most = [&](std::string_view key, int value, std::string_view of, int limit) {
    if (value > limit) {
      node.fail(key, fmt::format("found {}, allowed is at most {} ({})", value, of, limit));
    }
  };
  const std::string_view experts = keys.key("routed_experts", "n_routed_experts");
  const std::string_view groups = keys.key("expert_groups", "n_group");
  if (a.routed_experts % a.expert_groups != 0) {
    node.fail(groups, fmt::format("found {}, allowed are divisors of {} ({}): groups are equal",
                                  a.expert_groups, experts, a.routed_experts));
  }
  at_most(keys.key("dense_layers", "first_k_dense_replace"), a.dense_layers,
          keys.key("layers", "num_hidden_layers"), a.layers);
  at_most(keys.key("experts_per_token", "num_experts_per_tok"), a.experts_per_token, experts,
          a.routed_experts);
  at_most(keys.key("groups_per_token", "topk_group"), a.groups_per_token, groups, a.expert_groups);
  return a;
}

Architecture load_architecture(const std::filesystem::path& file) {
  const ConfigDocument document = ConfigDocument::from_file(file);
  return read_architecture(ConfigNode(document));
}

}  // namespace cmsim::model
