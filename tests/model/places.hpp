// Models whose instances are on the first dies of a machine, on the analytic network.
#pragma once

#include <numeric>

#include "cmsim/model/decode_model.hpp"
#include "cmsim/model/prefill_model.hpp"

namespace cmsim::model {

inline std::vector<std::int32_t> first_dies(int ranks) {
  std::vector<std::int32_t> dies(static_cast<std::size_t>(ranks));
  std::iota(dies.begin(), dies.end(), 0);
  return dies;
}

inline std::unique_ptr<TokenExchange> make_exchange(
    ExchangeKind kind, const hw::Platform& platform, const OperatorList& operators, int ranks,
    const std::vector<std::vector<double>>& received = {}) {
  return make_exchange(kind, platform, operators, coll::AnalyticNetwork(platform),
                       {first_dies(ranks)}, received);
}

/// One instance with experts on `ranks` dies; `most_per_rank`: sequences or tokens of a rank at
/// once.
template <class Pipeline, class Most>
Pipeline make_pipeline(Phase phase, const hw::Platform& platform, const Architecture& architecture,
                       const ModelOptions& options, int ranks, Most most_per_rank) {
  const coll::AnalyticNetwork network(platform);
  const int dies = phase == Phase::kDecode ? options.decode.attention_dies + ranks : ranks;
  return {platform,      architecture,
          options,       make_expert_load(architecture, options, phase, ranks),
          most_per_rank, {network, {first_dies(dies)}}};
}
inline DecodePipeline make_decode(const hw::Platform& platform, const Architecture& architecture,
                                  const ModelOptions& options, int ranks, int most_sequences) {
  return make_pipeline<DecodePipeline>(Phase::kDecode, platform, architecture, options, ranks,
                                       most_sequences);
}
inline PrefillPipeline make_prefill(const hw::Platform& platform, const Architecture& architecture,
                                    const ModelOptions& options, int ranks, double most_tokens) {
  return make_pipeline<PrefillPipeline>(Phase::kPrefill, platform, architecture, options, ranks,
                                        most_tokens);
}

}  // namespace cmsim::model
