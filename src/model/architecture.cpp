#include "cmsim/model/architecture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>

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
constexpr int kMostTopK = 1 << 20;          // DeepSeek-V3.2: 2,048
constexpr int kMostIntermediate = 1 << 20;  // PaLM 540B: 73,728
constexpr int kMostVocabulary = 1 << 24;    // Gemma: 262,144
constexpr std::int64_t kMostOfAnInt = std::numeric_limits<int>::max();
static_assert(std::int64_t{kMostHeads} * (kMostRank + kMostHeadDim) < kMostOfAnInt &&
                  2 * kMostHidden + 2 * kMostRank < kMostOfAnInt,
              "operators.cpp adds and multiplies dimensions as int");

/// Kinds of model that Hugging Face's config.json can say, by its model_type.
struct ModelType {
  std::string_view name;
  bool is_latent;  // MLA, otherwise GQA
  bool is_sparse;  // with an indexer
  bool has_experts;
  std::string_view experts;  // key of their number
};
constexpr std::array kModelTypes{ModelType{"deepseek_v3", true, false, true, "n_routed_experts"},
                                 ModelType{"deepseek_v32", true, true, true, "n_routed_experts"},
                                 ModelType{"kimi_k2", true, false, true, "n_routed_experts"},
                                 ModelType{"glm_moe_dsa", true, true, true, "n_routed_experts"},
                                 ModelType{"qwen3_moe", false, false, true, "num_experts"},
                                 ModelType{"llama", false, false, false, "num_experts"}};

/// The dimensions of a model by the keys of its file: ours, or those of a config.json.
class ModelKeys {
 public:
  explicit ModelKeys(const ConfigNode& node) : node_(node) {
    if (!node.has("model_type") || node.has("layers")) return;
    std::vector<std::string> names;
    for (const ModelType& type : kModelTypes) names.emplace_back(type.name);
    const std::string found = node.choice("model_type", names);
    type_ = std::ranges::find(kModelTypes, found, &ModelType::name);
  }

  /// Null for a file of ours.
  const ModelType* type() const { return type_; }
  bool given(std::string_view key) const {
    if (!node_.has(key)) return false;
    return type_ == nullptr || !node_.raw().at(key).is_null();  // config.json writes null for none
  }
  std::string_view key(std::string_view ours, std::string_view theirs) const {
    return type_ != nullptr ? theirs : ours;
  }
  int count(std::string_view ours, std::string_view theirs, int most, int least = 1) const {
    return static_cast<int>(node_.integer(key(ours, theirs), least, most));
  }
  /// What a config.json may leave out.
  int count_or(int otherwise, std::string_view ours, std::string_view theirs, int most,
               int least) const {
    if (type_ != nullptr && !given(theirs)) return otherwise;
    return count(ours, theirs, most, least);
  }
  void refuse(std::string_view key, const std::string& allowed) const {
    const auto& raw = node_.raw().at(key);
    const auto& value = raw.is_object() && raw.contains("value") ? raw.at("value") : raw;
    node_.fail(key, fmt::format("found {}, allowed {}", value.dump(), allowed));
  }
  void at_most(std::string_view key, int value, std::string_view of, int limit) const {
    if (value <= limit) return;
    node_.fail(key, fmt::format("found {}, allowed is at most {} ({})", value, of, limit));
  }
  /// A config.json says much that has nothing to do with time.
  void close() const {
    if (type_ != nullptr) {
      for (const std::string& key : node_.keys()) node_.ignore(key);
    }
    node_.close();
  }

 private:
  const ConfigNode& node_;
  const ModelType* type_ = nullptr;
};

LatentAttention read_latent(const ModelKeys& keys) {
  LatentAttention a;
  a.q_lora_rank = keys.count("q_lora_rank", "q_lora_rank", kMostRank);
  a.kv_lora_rank = keys.count("kv_lora_rank", "kv_lora_rank", kMostRank);
  a.rope_head_dim = keys.count("rope_head_dim", "qk_rope_head_dim", kMostHeadDim);
  a.nope_head_dim = keys.count("nope_head_dim", "qk_nope_head_dim", kMostHeadDim);
  a.v_head_dim = keys.count("v_head_dim", "v_head_dim", kMostHeadDim);
  return a;
}

GroupedAttention read_grouped(const ModelKeys& keys, int heads, int hidden) {
  GroupedAttention a;
  a.kv_heads = keys.count_or(heads, "kv_heads", "num_key_value_heads", kMostHeads, 1);
  a.head_dim = keys.count_or(std::max(1, hidden / heads), "head_dim", "head_dim", kMostHeadDim, 1);
  if (heads % a.kv_heads != 0) {
    keys.refuse(keys.key("kv_heads", "num_key_value_heads"),
                fmt::format("are divisors of {} ({}): KV heads serve equally many heads",
                            keys.key("heads", "num_attention_heads"), heads));
  }
  return a;
}

/// All of its keys or none of them.
std::optional<Indexer> read_indexer(const ModelKeys& keys) {
  struct Key {
    std::string_view ours, theirs;
    int most;
    int Indexer::*dimension;
  };
  constexpr std::array kKeys{
      Key{"indexer_heads", "index_n_heads", kMostHeads, &Indexer::heads},
      Key{"indexer_head_dim", "index_head_dim", kMostHeadDim, &Indexer::head_dim},
      Key{"indexer_top_k", "index_topk", kMostTopK, &Indexer::top_k}};
  Indexer indexer;
  const auto read = [&](const Key& key) {
    indexer.*key.dimension = keys.count(key.ours, key.theirs, key.most);
  };
  for (const Key& key : kKeys) {
    if (keys.given(keys.key(key.ours, key.theirs))) read(key);
  }
  if (indexer == Indexer{} && keys.type() == nullptr) return std::nullopt;
  for (const Key& key : kKeys) read(key);
  return indexer;
}

/// Of which kind it is a file of ours says by the keys it has.
void read_attention(const ModelKeys& keys, Architecture& a) {
  const ModelType* type = keys.type();
  const bool is_latent =
      type != nullptr ? type->is_latent : keys.given("kv_lora_rank") || !keys.given("kv_heads");
  if (!is_latent) {
    a.attention = read_grouped(keys, a.heads, a.hidden);
    return;
  }
  a.attention = read_latent(keys);
  if (type == nullptr) {
    for (const char* key : {"kv_heads", "head_dim"}) {
      if (keys.given(key)) keys.refuse(key, "is none: kv_lora_rank says that attention is MLA");
    }
  }
  if (type == nullptr || type->is_sparse) a.indexer = read_indexer(keys);
}

void read_experts(const ModelKeys& keys, Architecture& a) {
  const std::string_view their_experts = keys.type() ? keys.type()->experts : "";
  const std::string_view experts = keys.key("routed_experts", their_experts);
  const std::string_view groups = keys.key("expert_groups", "n_group");
  a.routed_experts = keys.count("routed_experts", their_experts, kMostExperts);
  a.shared_experts = keys.count_or(0, "shared_experts", "n_shared_experts", kMostSharedExperts, 0);
  a.experts_per_token = keys.count("experts_per_token", "num_experts_per_tok", kMostExperts);
  a.expert_groups = keys.count_or(1, "expert_groups", "n_group", kMostExperts, 1);
  a.groups_per_token = keys.count_or(1, "groups_per_token", "topk_group", kMostExperts, 1);
  a.expert_intermediate =
      keys.count("expert_intermediate", "moe_intermediate_size", kMostIntermediate);
  if (a.routed_experts % a.expert_groups != 0) {
    keys.refuse(groups, fmt::format("are divisors of {} ({}): groups are equal", experts,
                                    a.routed_experts));
  }
  keys.at_most(keys.key("experts_per_token", "num_experts_per_tok"), a.experts_per_token, experts,
               a.routed_experts);
  keys.at_most(keys.key("groups_per_token", "topk_group"), a.groups_per_token, groups,
               a.expert_groups);
}

/// Switches of a config.json of which one position is modelled.
void refuse_other_layers(const ModelKeys& keys, const ConfigNode& node) {
  for (const char* key : {"decoder_sparse_step", "moe_layer_freq"}) {
    if (keys.given(key) && node.raw().at(key) != 1) {
      keys.refuse(key, "is 1: every layer after the dense ones has experts");
    }
  }
  if (keys.given("mlp_only_layers") && !node.raw().at("mlp_only_layers").empty()) {
    keys.refuse("mlp_only_layers", "is []: every layer after the dense ones has experts");
  }
  if (keys.given("use_sliding_window") && node.raw().at("use_sliding_window") != false) {
    keys.refuse("use_sliding_window", "is false: attention sees the whole context");
  }
}

void read_layers(const ModelKeys& keys, Architecture& a) {
  const ModelType* type = keys.type();
  const bool is_dense = type != nullptr && !type->has_experts;
  a.layers = keys.count("layers", "num_hidden_layers", kMostLayers);
  a.dense_layers = is_dense
                       ? a.layers
                       : keys.count_or(0, "dense_layers", "first_k_dense_replace", kMostLayers, 0);
  keys.at_most(keys.key("dense_layers", "first_k_dense_replace"), a.dense_layers,
               keys.key("layers", "num_hidden_layers"), a.layers);
  a.mtp_layers =
      is_dense ? 0 : keys.count_or(0, "mtp_layers", "num_nextn_predict_layers", kMostMtpLayers, 0);
}

}  // namespace

Architecture read_architecture(const ConfigNode& node) {
  const ModelKeys keys(node);
  const bool is_ours = keys.type() == nullptr;
  if (!is_ours) refuse_other_layers(keys, node);
  Architecture a;
  a.type = is_ours ? node.text_or("model_type", "") : node.text("model_type");
  a.name = is_ours ? node.text("name") : node.text_or("_name_or_path", "");
  if (a.name.empty()) a.name = a.type;
  read_layers(keys, a);
  a.hidden = keys.count("hidden", "hidden_size", kMostHidden);
  a.heads = keys.count("heads", "num_attention_heads", kMostHeads);
  a.vocabulary = keys.count("vocabulary", "vocab_size", kMostVocabulary);
  read_attention(keys, a);
  if (a.has_experts() || (is_ours && keys.given("routed_experts"))) read_experts(keys, a);
  if (a.dense_layers > 0 || (is_ours && keys.given("dense_intermediate"))) {
    a.dense_intermediate = keys.count("dense_intermediate", "intermediate_size", kMostIntermediate);
  }
  keys.close();
  return a;
}

Bytes Architecture::kv_bytes_per_token_layer(int bytes_per_element) const {
  const Bytes keys_of_indexer = indexer ? indexer->head_dim : 0;
  const Bytes values = latent() != nullptr ? Bytes{latent()->kv_lora_rank} + latent()->rope_head_dim
                                           : Bytes{2} * grouped()->kv_heads * grouped()->head_dim;
  return values * bytes_per_element + keys_of_indexer;
}

double Architecture::indexer_parameters() const {
  if (!indexer) return 0;
  const double heads_dim = static_cast<double>(indexer->heads) * indexer->head_dim;
  return latent()->q_lora_rank * heads_dim + static_cast<double>(hidden) * indexer->head_dim +
         static_cast<double>(hidden) * indexer->heads;
}

double Architecture::attention_parameters() const {
  if (const GroupedAttention* g = grouped()) {
    return static_cast<double>(hidden) * g->head_dim * (2.0 * heads + 2.0 * g->kv_heads);
  }
  const LatentAttention& l = *latent();
  const double down =
      static_cast<double>(hidden) * (l.q_lora_rank + l.kv_lora_rank + l.rope_head_dim);
  const double up = static_cast<double>(heads) *
                    (static_cast<double>(l.q_lora_rank) * l.key_head_dim() +
                     static_cast<double>(l.kv_lora_rank) * (l.nope_head_dim + l.v_head_dim));
  return down + up + static_cast<double>(heads) * l.v_head_dim * hidden + indexer_parameters();
}

double Architecture::parameters() const {
  return layers * attention_parameters() + dense_layers * dense_parameters() +
         moe_layers() *
             (router_parameters() + (routed_experts + shared_experts) * expert_parameters()) +
         2 * head_parameters();  // embedding and LM head
}

double Architecture::active_parameters() const {
  const double unused = moe_layers() * (routed_experts - experts_per_token) * expert_parameters();
  return parameters() - unused - head_parameters();
}

int tensor_parallel_degree(const Architecture& architecture, int ranks) {
  return std::min(ranks, architecture.heads);
}

Architecture load_architecture(const std::filesystem::path& file) {
  const ConfigDocument document = ConfigDocument::from_file(file);
  return read_architecture(ConfigNode(document));
}

}  // namespace cmsim::model
