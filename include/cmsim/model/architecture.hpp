// The language model as a value, from a file of ours (workloads/models/*.json) or Hugging Face's
// config.json: its attention, its feed-forward layers, and what follows from their dimensions.
//
// Layers are dense ones first, then those with experts; a model without experts is dense
// throughout. Parameters are counts of matrix weights: biases and norms are left out (below 0.1 %).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <variant>

#include "cmsim/base/config.hpp"
#include "cmsim/base/units.hpp"

namespace cmsim::model {

/// MLA: one compressed vector a token stands for the keys and values of all heads (V3).
struct LatentAttention {
  int q_lora_rank = 0;    // query compression
  int kv_lora_rank = 0;   // KV compression
  int rope_head_dim = 0;  // decoupled RoPE part of a head
  int nope_head_dim = 0;  // the rest of a query/key head
  int v_head_dim = 0;

  int key_head_dim() const { return nope_head_dim + rope_head_dim; }
  bool operator==(const LatentAttention&) const = default;
};

/// GQA: so many heads of keys and values, each for an equal group of query heads.
struct GroupedAttention {
  int kv_heads = 0;
  int head_dim = 0;
  bool operator==(const GroupedAttention&) const = default;
};

/// Sparse attention (DSA): scores every cached token by a key of its own, one for all its heads;
/// attention then reads the `top_k` tokens with the highest scores.
struct Indexer {
  int heads = 0;
  int head_dim = 0;
  int top_k = 0;
  bool operator==(const Indexer&) const = default;
};

/// Whose KV: that of the layers every token passes, or that of the MTP modules as well.
enum class KvLayers { kMain, kWithMtp };

struct Architecture {
  std::string name;
  std::string type;  // Hugging Face's model_type; may be empty in a file of ours
  int layers = 0;
  int dense_layers = 0;
  int hidden = 0;
  int heads = 0;  // of queries
  std::variant<LatentAttention, GroupedAttention> attention;
  std::optional<Indexer> indexer;  // with MLA alone
  int routed_experts = 0;          // 0: no layer has experts
  int shared_experts = 0;
  int experts_per_token = 0;  // top-k
  int expert_groups = 0;      // routing groups
  int groups_per_token = 0;   // node-limited routing
  int expert_intermediate = 0;
  int dense_intermediate = 0;
  int vocabulary = 0;
  int mtp_layers = 0;

  int moe_layers() const { return layers - dense_layers; }
  bool has_experts() const { return moe_layers() + mtp_layers > 0; }
  const LatentAttention* latent() const { return std::get_if<LatentAttention>(&attention); }
  const GroupedAttention* grouped() const { return std::get_if<GroupedAttention>(&attention); }
  /// Whether prefill runs attention and dense layers in tensor parallel throughout (GQA), and not
  /// in sequence, tensor and sequence parallel in turn (MLA, P §4.3).
  bool is_tensor_parallel() const { return grouped() != nullptr; }
  int value_head_dim() const {
    return latent() != nullptr ? latent()->v_head_dim : grouped()->head_dim;
  }
  bool operator==(const Architecture&) const = default;

  /// KV cache of one token in one layer, bytes: kv_lora_rank + rope_head_dim values (MLA), or
  /// 2 * kv_heads * head_dim (GQA). Keys of the indexer are INT8 whatever the KV is.
  Bytes kv_bytes_per_token_layer(int bytes_per_element) const;
  /// Over all layers.
  Bytes kv_bytes_per_token(int bytes_per_element, KvLayers of = KvLayers::kMain) const {
    return kv_bytes_per_token_layer(bytes_per_element) *
           (layers + (of == KvLayers::kWithMtp ? mtp_layers : 0));
  }

  double indexer_parameters() const;    // of one layer
  double attention_parameters() const;  // of one layer, its indexer included
  double expert_parameters() const { return 3.0 * hidden * expert_intermediate; }
  double dense_parameters() const { return 3.0 * hidden * dense_intermediate; }
  double router_parameters() const { return static_cast<double>(hidden) * routed_experts; }
  double head_parameters() const { return static_cast<double>(hidden) * vocabulary; }
  /// Of the whole model without its MTP modules, as they are published.
  double parameters() const;
  /// Of these, what one token is multiplied with: its experts, and not the embedding table.
  double active_parameters() const;
};

/// Ranks that share the attention of a prefill batch by heads: all, or as many as there are heads.
int tensor_parallel_degree(const Architecture& architecture, int ranks);

/// Of a config.json the keys that say a dimension are read, and no others. A model_type whose
/// layers are not modelled, and a switch that makes them other ones, are a ConfigError.
Architecture read_architecture(const ConfigNode& node);
Architecture load_architecture(const std::filesystem::path& file);

}  // namespace cmsim::model
