// What --require can ask of a result. The one place that knows where a result says it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cmsim/metrics/result.hpp"

namespace cmsim::cli {

/// "slo", "stable", "finished".
std::vector<std::string> requirement_names();

/// What the requirements are about.
struct RequiredFacts {
  bool slo_met = false;
  double share_within_slo = 0;
  std::string load;
  std::int64_t requests = 0, finished = 0;

  std::int64_t missing() const { return requests - finished; }
};
RequiredFacts required_facts(const metrics::Result& result);
/// Of what `cmsim run --json` prints.
RequiredFacts required_facts(const nlohmann::json& result);

/// "3 of 200 requests did not finish".
std::string missing_text(const RequiredFacts& facts);

/// Of the requirements named, those that the result does not meet, each with what it says instead:
/// "stable: the load is overloaded".
std::vector<std::string> unmet(const std::vector<std::string>& required,
                               const RequiredFacts& facts);

}  // namespace cmsim::cli
