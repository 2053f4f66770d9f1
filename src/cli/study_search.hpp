// The searches of `cmsim sweep`: how much load is borne, and which numbers matter.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "study_engine.hpp"
#include "terminal.hpp"

namespace cmsim::cli {

struct CapacityRequest {
  std::vector<std::string> requirements;  // as typed
  double share = 1;                       // of the seeds
  bool json = false;
};

/// Searches every cell of the study, prints its brackets, writes DIR/capacity.csv, and returns the
/// exit code.
int search_capacity(StudyEngine& engine, const study::Study& study, const CapacityRequest& request,
                    const std::filesystem::path& directory);

/// Of a study whose last axis is a sensitivity: what changes each metric most, from the largest on.
std::string tornado_report(const study::Table& table, Paint paint);

}  // namespace cmsim::cli
