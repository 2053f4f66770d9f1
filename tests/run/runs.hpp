// Runs of the default scenario with a small workload in place of its trace.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cmsim/run/run.hpp"

namespace cmsim::run {

inline const nlohmann::json& schema_document() {
  static const nlohmann::json kSchema = [] {
    std::ifstream stream(std::filesystem::path(CMSIM_SOURCE_DIR) / "docs/scenario.schema.json");
    return nlohmann::json::parse(stream);
  }();
  return kSchema;
}

inline std::filesystem::path default_scenario() {
  return std::filesystem::path(CMSIM_SOURCE_DIR) / "workloads/scenarios/cloudmatrix384.json";
}

inline Scenario scenario_with(const std::vector<std::string>& sets) {
  return load_scenario(default_scenario(), sets);
}

/// `workload` replaces /workload; `sets` come after it.
inline Result run_with(const std::string& workload, std::vector<std::string> sets = {}) {
  sets.insert(sets.begin(), "/workload=" + workload);
  return run(load_scenario(default_scenario(), sets));
}

/// One request alone: every phase is what it takes on an idle machine.
inline constexpr const char* kOneRequest =
    R"({"requests": 1, "prompt_length": 4096, "output_length": 100,
        "arrivals": {"kind": "all_at_once"}})";

inline double phase_ms(const Result& result, const std::string& name) {
  for (const metrics::PhaseResult& phase : result.whole_run.phases) {
    if (phase.name == name) return phase.ms.mean;
  }
  return -1;
}

inline const metrics::TransferResult& transfers(const Result& result, const std::string& name) {
  for (const metrics::TransferResult& transfer : result.whole_run.transfers) {
    if (transfer.name == name) return transfer;
  }
  throw std::out_of_range(name);
}

inline const metrics::LinkResult& link(const Result& result, const std::string& name,
                                       const std::string& direction) {
  for (const metrics::LinkResult& link : result.whole_run.links) {
    if (link.name == name && link.direction == direction) return link;
  }
  throw std::out_of_range(name);
}

}  // namespace cmsim::run
