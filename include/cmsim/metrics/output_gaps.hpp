// The gaps between consecutive outputs of one request.
#pragma once

#include <vector>

#include "cmsim/metrics/result.hpp"

namespace cmsim::metrics {

/// Seconds, in order: the steps of its decode instance that end in (first_token, finished]. Empty
/// for a request that was not decoded.
std::vector<Seconds> output_gaps(const Result& result, const serve::RequestRecord& record);

}  // namespace cmsim::metrics
