#include "requirements.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "terminal.hpp"

namespace cmsim::cli {
namespace {

using metrics::Result;

/// Nothing when the requirement is met.
std::string slo(const Result& result) {
  const metrics::SloVerdict& slo = result.measured.slo;
  if (slo.met_at_p99) return "";
  return fmt::format("the SLO is not met at p99 ({} of the requests keep both limits)",
                     percent(slo.share_both));
}

std::string stable(const Result& result) {
  if (result.load.load == metrics::Load::kStable) return "";
  return fmt::format("the load is {}", metrics::to_string(result.load.load));
}

std::string finished(const Result& result) {
  const std::int64_t missing = result.requests.total - result.requests.finished;
  if (missing == 0) return "";
  return fmt::format("{} of {} requests did not finish", grouped(missing),
                     grouped(result.requests.total));
}

struct Requirement {
  const char* name;
  std::string (*complaint)(const Result&);
};
constexpr Requirement kRequirements[] = {{"slo", slo}, {"stable", stable}, {"finished", finished}};

}  // namespace

std::vector<std::string> requirement_names() {
  std::vector<std::string> names;
  for (const Requirement& requirement : kRequirements) names.emplace_back(requirement.name);
  return names;
}

std::vector<std::string> unmet(const std::vector<std::string>& required, const Result& result) {
  std::vector<std::string> complaints;
  for (const Requirement& requirement : kRequirements) {
    if (std::ranges::find(required, requirement.name) == required.end()) continue;
    const std::string complaint = requirement.complaint(result);
    if (!complaint.empty())
      complaints.push_back(fmt::format("{}: {}", requirement.name, complaint));
  }
  return complaints;
}

}  // namespace cmsim::cli
