#include "cmsim/model/factory.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "cmsim/model/decode_model.hpp"
#include "cmsim/model/prefill_model.hpp"

namespace cmsim::model {
namespace {

void check(const MemoryPlan& memory, const char* role) {
  if (memory.kv_tokens() > 0) return;
  const auto spelled = [](double bytes) { return format_quantity(bytes, Dimension::kBytes); };
  throw std::invalid_argument(
      fmt::format("the model does not fit the HBM of a {} die: {} of weights, {} of exchange "
                  "buffers and {} reserved "
                  "leave no KV space in {}",
                  role, spelled(memory.weights), spelled(memory.buffers), spelled(memory.reserved),
                  spelled(memory.capacity)));
}

}  // namespace

std::unique_ptr<DecodeModel> make_decode_model(const hw::Platform& platform,
                                               const Architecture& architecture,
                                               const ModelOptions& options, int ranks,
                                               int max_sequences_per_rank, double wire_scale) {
  auto model = std::make_unique<DecodePipeline>(platform, architecture, options, ranks,
                                                max_sequences_per_rank, wire_scale);
  check(model->memory(), "decode");
  return model;
}

std::unique_ptr<PrefillModel> make_prefill_model(const hw::Platform& platform,
                                                 const Architecture& architecture,
                                                 const ModelOptions& options, int ranks,
                                                 double max_tokens_per_rank, double wire_scale) {
  auto model = std::make_unique<PrefillPipeline>(platform, architecture, options, ranks,
                                                 max_tokens_per_rank, wire_scale);
  check(model->memory(), "prefill");
  return model;
}

}  // namespace cmsim::model
