// From what the user named to the one document of a scenario: the file with what it extends, the
// machine and the model spliced in, then what the command line sets. Each is a layer
// (base/config.hpp); a path in a file is relative to that file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

/// `own`, read from a file in `directory`, over what it extends; throws ConfigError when what it
/// names cannot be read.
ConfigDocument base_document(ConfigDocument own, const std::filesystem::path& directory);

/// A document and the device that its platform named: its file's name without directories and
/// ending; empty when the platform says all itself.
struct Resolved {
  ConfigDocument document;
  std::string device;
};

/// What the command line sets, as a layer above.
Resolved with_settings(ConfigDocument base, const std::filesystem::path& directory,
                       const std::vector<Setting>& settings);

/// What `base` says about its own trace and `document`, made of it by settings that name another
/// one, no longer does.
std::vector<std::string> retired_by_trace(const ConfigDocument& base,
                                          const ConfigDocument& document);

}  // namespace cmsim::run
