// The step models of a scenario, built from its platform, model and options.
#pragma once

#include <memory>

#include "cmsim/model/architecture.hpp"
#include "cmsim/model/options.hpp"
#include "cmsim/model/step.hpp"

namespace cmsim::model {

/// A decode instance of `ranks` dies with at most `max_sequences_per_rank` running sequences a die.
/// Throws std::invalid_argument when the expert layout does not fit the ranks or the weights and
/// buffers do not fit a die's HBM; the text says what was needed and what there is.
std::unique_ptr<DecodeModel> make_decode_model(const hw::Platform& platform,
                                               const Architecture& architecture,
                                               const ModelOptions& options, int ranks,
                                               int max_sequences_per_rank, double wire_scale = 1);

/// A prefill instance of `ranks` dies whose batches hold at most `max_tokens_per_rank` tokens a
/// die.
std::unique_ptr<PrefillModel> make_prefill_model(const hw::Platform& platform,
                                                 const Architecture& architecture,
                                                 const ModelOptions& options, int ranks,
                                                 double max_tokens_per_rank, double wire_scale = 1);

}  // namespace cmsim::model
