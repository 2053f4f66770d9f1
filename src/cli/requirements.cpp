#include "requirements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "terminal.hpp"

namespace cmsim::cli {
namespace {

/// Nothing when the requirement is met.
std::string slo(const RequiredFacts& facts) {
  if (facts.slo_met) return "";
  return fmt::format("the SLO is not met at p99 ({} of the requests keep both limits)",
                     percent(facts.share_within_slo));
}

std::string stable(const RequiredFacts& facts) {
  if (facts.load == metrics::to_string(metrics::Load::kStable)) return "";
  return fmt::format("the load is {}", facts.load);
}

std::string finished(const RequiredFacts& facts) {
  return facts.missing() == 0 ? "" : missing_text(facts);
}

struct Requirement {
  const char* name;
  std::string (*complaint)(const RequiredFacts&);
};
constexpr Requirement kRequirements[] = {{"slo", slo}, {"stable", stable}, {"finished", finished}};

}  // namespace

std::vector<std::string> requirement_names() {
  std::vector<std::string> names;
  for (const Requirement& requirement : kRequirements) names.emplace_back(requirement.name);
  return names;
}

RequiredFacts required_facts(const metrics::Result& result) {
  const metrics::SloVerdict& slo = result.measured.slo;
  return {slo.met_at_p99, slo.share_both, metrics::to_string(result.load.load),
          result.requests.total, result.requests.finished};
}

RequiredFacts required_facts(const nlohmann::json& result) {
  const nlohmann::json& slo = result.at("window").at("slo");
  const nlohmann::json& requests = result.at("requests");
  return {slo.at("met_at_p99").get<bool>(), slo.at("share_both").get<double>(),
          result.at("load").at("verdict").get<std::string>(),
          requests.at("total").get<std::int64_t>(), requests.at("finished").get<std::int64_t>()};
}

std::string missing_text(const RequiredFacts& facts) {
  return fmt::format("{} of {} requests did not finish", grouped(facts.missing()),
                     grouped(facts.requests));
}

std::vector<std::string> unmet(const std::vector<std::string>& required,
                               const RequiredFacts& facts) {
  std::vector<std::string> complaints;
  for (const Requirement& requirement : kRequirements) {
    if (std::ranges::find(required, requirement.name) == required.end()) continue;
    const std::string complaint = requirement.complaint(facts);
    if (!complaint.empty())
      complaints.push_back(fmt::format("{}: {}", requirement.name, complaint));
  }
  return complaints;
}

}  // namespace cmsim::cli
