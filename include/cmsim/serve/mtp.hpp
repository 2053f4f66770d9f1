// How many decode iterations a request takes under multi-token prediction.
//
// An iteration emits one token and every draft token up to the first one refused. Acceptance is
// drawn independently: draft j + 1 is accepted with probability `acceptance` given that draft j
// was.
#pragma once

#include <cstdint>

#include "cmsim/base/random.hpp"
#include "cmsim/base/units.hpp"
#include "cmsim/serve/deployment.hpp"

namespace cmsim::serve {

/// Mean tokens of an iteration that is not cut short by the end: sum of acceptance^j, j = 0..draft.
double mean_tokens_per_iteration(const MtpSpec& mtp);

/// Draws the first n at which n iterations have emitted at least `output_tokens` (>= 1). Exact in
/// distribution: as long as m iterations cannot pass the end, their accepted drafts are one
/// binomial draw per draft position, so the cost is logarithmic in the output length.
std::int64_t draw_iterations(Tokens output_tokens, const MtpSpec& mtp, RandomStream& random);

}  // namespace cmsim::serve
