// The language model as a value: DeepSeek-V3's shape (V3 technical report), from a file of ours
// (workloads/models/deepseek-r1.json) or Hugging Face's config.json.
#pragma once

#include <filesystem>
#include <string>

#include "cmsim/base/config.hpp"
#include "cmsim/base/units.hpp"

namespace cmsim::model {

struct Architecture {
  std::string name;
  std::string type;  // Hugging Face's model_type: "deepseek_v3"; may be empty in a file of ours
  int layers = 0;    // transformer layers, dense ones first
  int dense_layers = 0;
  int hidden = 0;
  int heads = 0;
  int q_lora_rank = 0;    // query compression
  int kv_lora_rank = 0;   // KV compression
  int rope_head_dim = 0;  // decoupled RoPE part of a head
  int nope_head_dim = 0;  // the rest of a query/key head
  int v_head_dim = 0;
  int routed_experts = 0;
  int shared_experts = 0;
  int experts_per_token = 0;  // top-k
  int expert_groups = 0;      // routing groups
  int groups_per_token = 0;   // node-limited routing
  int expert_intermediate = 0;
  int dense_intermediate = 0;
  int vocabulary = 0;
  int mtp_layers = 0;

  int moe_layers() const { return layers - dense_layers; }
  bool operator==(const Architecture&) const = default;

  /// KV cache of one token over all layers: (kv_lora_rank + rope_head_dim) * element bytes *
  /// layers.
  Bytes kv_bytes_per_token(int bytes_per_element) const {
    return Bytes{kv_lora_rank + rope_head_dim} * bytes_per_element * layers;
  }
};

/// Of a config.json the keys that say a dimension are read, and no others. One of another
/// model_type than those with MLA over the whole context is a ConfigError.
Architecture read_architecture(const ConfigNode& node);
Architecture load_architecture(const std::filesystem::path& file);

}  // namespace cmsim::model
