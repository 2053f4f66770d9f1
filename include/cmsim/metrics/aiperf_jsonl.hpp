// AIPerf's profile_export.jsonl: one record a request that was sent, in order of the trace.
//
// Times are whole nanoseconds of the simulated clock, metrics are milliseconds and tokens, under
// AIPerf's names. A request without a time is left out of that metric; one that did not finish has
// an `error` and of the metrics `error_isl` alone. Not AIPerf's summary files: result.json is ours.
#pragma once

#include <string>

#include "cmsim/metrics/result.hpp"
#include "cmsim/serve/deployment.hpp"

namespace cmsim::metrics {

/// `inter_chunk_latency`, the list of all gaps of a request, comes with Detail::kPerRequest.
std::string aiperf_jsonl(const Result& result, serve::Role role, Detail detail);

}  // namespace cmsim::metrics
