// A model document is an Architecture within the bounds of docs/scenario.schema.json, or a
// ConfigError; its operators and its layout over 32 ranks have finite costs.
#include <cmath>
#include <cstdint>
#include <numeric>
#include <stdexcept>

#include "cmsim/model/architecture.hpp"
#include "cmsim/model/expert_placement.hpp"
#include "cmsim/model/operators.hpp"
#include "formats.hpp"
#include "oracle.hpp"

namespace {

using cmsim::fuzz::require;
namespace model = cmsim::model;

bool positive(double value) { return value > 0 && std::isfinite(value); }

void check_bounds(const model::Architecture& a) {
  for (const int size : {a.layers, a.hidden, a.heads, a.value_head_dim(), a.vocabulary}) {
    require(size >= 1, "a dimension is positive");
  }
  if (a.has_experts()) {
    for (const int size : {a.routed_experts, a.experts_per_token, a.expert_groups,
                           a.groups_per_token, a.expert_intermediate}) {
      require(size >= 1, "layers with experts have some");
    }
  }
  require(a.dense_layers == 0 || a.dense_intermediate >= 1, "dense layers have a width");
  require(a.moe_layers() >= 0 && a.shared_experts >= 0 && a.mtp_layers >= 0,
          "a count is not negative");
  require(a.experts_per_token <= a.routed_experts && a.groups_per_token <= a.expert_groups,
          "a token goes to experts and groups that exist");
  require(a.routed_experts == 0 || a.routed_experts % a.expert_groups == 0,
          "groups hold equally many experts");
  require(a.kv_bytes_per_token(2) > 0, "KV of a token takes bytes");
  require(positive(a.active_parameters()) && a.active_parameters() <= a.parameters(),
          "a token is multiplied with some of the parameters");
}

void check_operators(const model::Architecture& a) {
  const model::OperatorList operators(a, {});
  const double tokens = 4, pairs = 64, heads = a.heads;
  for (const model::OperatorWork& work :
       {operators.attention_prolog(tokens), operators.attention(2, pairs, 2),
        operators.o_proj(tokens), operators.gate(tokens), operators.expert_ffn(tokens, 1),
        operators.dense_ffn(tokens), operators.lm_head(tokens), operators.mtp_projection(tokens),
        operators.prefill_head_projection(tokens, tokens, heads),
        operators.prefill_attention(pairs, tokens, tokens, heads)}) {
    require(work.int8_ops >= 0 && work.bf16_ops >= 0 && work.attention_ops >= 0,
            "work is not negative");
    require(positive(work.hbm_bytes) &&
                std::isfinite(work.int8_ops + work.bf16_ops + work.attention_ops),
            "work is finite and moves bytes");
  }
  for (const double bytes :
       {operators.attention_weight_bytes(), operators.prefill_attention_weight_bytes(32),
        operators.head_weight_bytes(), operators.kv_bytes_per_token_layer(),
        operators.dispatch_message_bytes(), operators.combine_message_bytes()}) {
    require(positive(bytes), "a size is positive and finite");
  }
}

void check_layout(const model::Architecture& a) {
  constexpr int kRanks = 32;
  try {
    const model::ExpertLayout layout = model::derive_layout(a, kRanks);
    if (a.routed_experts == 0) return;
    require(layout.ranks == kRanks && layout.routed_ranks >= 1, "a layout has its ranks");
    require(layout.routed_slots >= a.routed_experts, "every expert has a slot");
    const std::vector<int> slots = layout.slots_by_rank();
    require(std::accumulate(slots.begin(), slots.end(), 0) == layout.routed_slots,
            "every slot has its rank");
    require(layout.most_slots() - layout.least_slots() <= 1, "ranks differ by one slot at most");
  } catch (const std::invalid_argument&) {  // as documented: it does not fill the ranks
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto document =
        cmsim::ConfigDocument::from_text(cmsim::fuzz::text_of(data, size), "fuzz.json");
    const model::Architecture architecture = model::read_architecture(cmsim::ConfigNode(document));
    cmsim::fuzz::require_valid(document.value(), cmsim::fuzz::definition("model"));
    check_bounds(architecture);
    check_operators(architecture);
    check_layout(architecture);
  } catch (const cmsim::ConfigError& error) {
    cmsim::fuzz::check_message(error);
  }
  return 0;
}

CMSIM_FUZZ_DOCUMENTS(cmsim::fuzz::model_vocabulary())
