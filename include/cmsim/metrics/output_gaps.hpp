// The gaps between consecutive outputs of one request.
#pragma once

#include <vector>

#include "cmsim/metrics/result.hpp"

namespace cmsim::metrics {

class OutputGaps {
 public:
  explicit OutputGaps(const Result& result);
  /// Seconds, in order: the steps of its decode instance that end in (first_token, finished]. Empty
  /// for a request that was not decoded.
  std::vector<Seconds> of(const serve::RequestRecord& record) const;

 private:
  std::vector<std::vector<Seconds>> ends_;  // of the steps of each instance
};

}  // namespace cmsim::metrics
