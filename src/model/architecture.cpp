#include "cmsim/model/architecture.hpp"

#include <fmt/format.h>

namespace cmsim::model {
namespace {

constexpr std::int64_t kLargest = 1 << 20;  // no dimension of a published model comes near

int positive(const ConfigNode& node, std::string_view key) {
  return static_cast<int>(node.integer(key, 1, kLargest));
}

int count(const ConfigNode& node, std::string_view key) {
  return static_cast<int>(node.integer(key, 0, kLargest));
}

}  // namespace

Architecture read_architecture(const ConfigNode& node) {
  Architecture a;
  a.name = node.text("name");
  a.layers = positive(node, "layers");
  a.dense_layers = count(node, "dense_layers");
  a.hidden = positive(node, "hidden");
  a.heads = positive(node, "heads");
  a.q_lora_rank = positive(node, "q_lora_rank");
  a.kv_lora_rank = positive(node, "kv_lora_rank");
  a.rope_head_dim = positive(node, "rope_head_dim");
  a.nope_head_dim = positive(node, "nope_head_dim");
  a.v_head_dim = positive(node, "v_head_dim");
  a.routed_experts = positive(node, "routed_experts");
  a.shared_experts = count(node, "shared_experts");
  a.experts_per_token = positive(node, "experts_per_token");
  a.expert_groups = positive(node, "expert_groups");
  a.groups_per_token = positive(node, "groups_per_token");
  a.expert_intermediate = positive(node, "expert_intermediate");
  a.dense_intermediate = positive(node, "dense_intermediate");
  a.vocabulary = positive(node, "vocabulary");
  a.mtp_layers = count(node, "mtp_layers");
  node.close();
  const auto at_most = [&](std::string_view key, int value, std::string_view of, int limit) {
    if (value > limit) {
      node.fail(key, fmt::format("found {}, allowed is at most {} ({})", value, of, limit));
    }
  };
  at_most("dense_layers", a.dense_layers, "layers", a.layers);
  at_most("experts_per_token", a.experts_per_token, "routed_experts", a.routed_experts);
  at_most("groups_per_token", a.groups_per_token, "expert_groups", a.expert_groups);
  return a;
}

Architecture load_architecture(const std::filesystem::path& file) {
  const ConfigDocument document = ConfigDocument::from_file(file);
  return read_architecture(ConfigNode(document));
}

}  // namespace cmsim::model
