#pragma once

#include <filesystem>
#include <string>

#include "cmsim/report/source.hpp"

namespace cmsim::report {

/// Of a database that a study has left.
Source study_source(const std::filesystem::path& file, const std::string& name);

}  // namespace cmsim::report
