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

int count(const ConfigNode& node, std::string_view key, int most, int least = 1) {
  return static_cast<int>(node.integer(key, least, most));
}

}  // namespace

Architecture read_architecture(const ConfigNode& node) {
  Architecture a;
  a.name = node.text("name");
  a.layers = count(node, "layers", kMostLayers);
  a.dense_layers = count(node, "dense_layers", kMostLayers, 0);
  a.hidden = count(node, "hidden", kMostHidden);
  a.heads = count(node, "heads", kMostHeads);
  a.q_lora_rank = count(node, "q_lora_rank", kMostRank);
  a.kv_lora_rank = count(node, "kv_lora_rank", kMostRank);
  a.rope_head_dim = count(node, "rope_head_dim", kMostHeadDim);
  a.nope_head_dim = count(node, "nope_head_dim", kMostHeadDim);
  a.v_head_dim = count(node, "v_head_dim", kMostHeadDim);
  a.routed_experts = count(node, "routed_experts", kMostExperts);
  a.shared_experts = count(node, "shared_experts", kMostSharedExperts, 0);
  a.experts_per_token = count(node, "experts_per_token", kMostExperts);
  a.expert_groups = count(node, "expert_groups", kMostExperts);
  a.groups_per_token = count(node, "groups_per_token", kMostExperts);
  a.expert_intermediate = count(node, "expert_intermediate", kMostIntermediate);
  a.dense_intermediate = count(node, "dense_intermediate", kMostIntermediate);
  a.vocabulary = count(node, "vocabulary", kMostVocabulary);
  a.mtp_layers = count(node, "mtp_layers", kMostMtpLayers, 0);
  node.close();
  const auto at_most = [&](std::string_view key, int value, std::string_view of, int limit) {
    if (value > limit) {
      node.fail(key, fmt::format("found {}, allowed is at most {} ({})", value, of, limit));
    }
  };
  if (a.routed_experts % a.expert_groups != 0) {
    node.fail("expert_groups",
              fmt::format("found {}, allowed are divisors of routed_experts ({}): groups are equal",
                          a.expert_groups, a.routed_experts));
  }
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
