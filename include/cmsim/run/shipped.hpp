// Where the files that come with the program lie: below the working directory, below share/cmsim of
// an installed program, or in the tree that it was built in.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"

namespace cmsim::run {

/// The places to look in for `inside` ("workloads/models/x.json"), in order.
std::vector<std::filesystem::path> shipped_places(const std::filesystem::path& inside);

/// The names of what comes with the program, sorted.
std::vector<std::string> shipped_scenarios();
std::vector<std::string> shipped_platforms();

/// The file of a scenario: `named` itself when there is such a file, else the shipped scenario of
/// that name ("paper-decode"). Throws ConfigError that lists the names there are.
std::filesystem::path find_scenario(const std::string& named);
/// The same of a platform ("cloudmatrix384").
std::filesystem::path find_platform(const std::string& named);

/// Where the platform at the pointer `platform` names a device, puts the file in its place: `named`
/// itself when there is such a file, else that of `directory`, else the shipped device of that name
/// ("h100").
void find_device(ConfigDocument& document, const std::string& platform,
                 const std::filesystem::path& directory);

/// The document of a platform that a user names, with "/pointer=value" applied in order and its
/// device laid under it. Throws ConfigError.
ConfigDocument platform_document(const std::string& named, const std::vector<std::string>& sets);

}  // namespace cmsim::run
