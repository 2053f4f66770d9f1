// The part of all runs whose figures were held against measurements:
// workloads/studies/envelope.json, built in. Outside of it a result is an extrapolation, and says
// in what.
#pragma once

#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/metrics/result.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

/// Both ends are within it.
struct ValidatedRange {
  double least = 0, most = 0;
};

struct Envelope {
  std::string device;
  ValidatedRange decode_batch, decode_context, decode_ep;  // sequences an NPU, tokens, dies
  ValidatedRange prefill_ep, prompt;                       // dies, tokens
  double tolerance = 0;                                    // in parts of the ends
};

/// Throws ConfigError.
Envelope read_envelope(const ConfigDocument& document);
const Envelope& built_in_envelope();

/// What of the result lies outside: batch and context of the mean step of the window, the mean
/// prompt of the requests that finished, the EP degrees of the roles it has, the device.
std::vector<metrics::Extrapolation> extrapolations(const Envelope& envelope,
                                                   const Scenario& scenario,
                                                   const metrics::Result& result);

}  // namespace cmsim::run
