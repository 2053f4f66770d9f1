// The searches of `cmsim sweep`: how much load is borne, and which numbers matter.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cmsim/study/capacity.hpp"
#include "cmsim/study/sensitivity.hpp"
#include "study_engine.hpp"
#include "terminal.hpp"

namespace cmsim::cli {

struct CapacityRequest {
  std::vector<std::string> texts;  // of the requirements, as typed
  study::CapacityTask task;
  bool json = false;
};

/// Throws ConfigError for what can be no search: it is about runs and about what their results
/// have.
CapacityRequest capacity_request(const std::vector<std::string>& texts, double share,
                                 const std::string& command);

/// Searches every cell of the study, prints its brackets, writes DIR/capacity.csv, and returns the
/// exit code.
int search_capacity(StudyEngine& engine, const study::Study& study, const CapacityRequest& request,
                    const std::filesystem::path& directory);

/// Of a study whose last axis is this sensitivity: what changes each metric most, from the largest
/// on.
std::string tornado_report(const study::Table& table, const study::Sensitivity& sensitivity,
                           Paint paint);

}  // namespace cmsim::cli
