// What a platform file names in other files: its device, and graphs (GraphML) as lists of edges.
//
// A device file has what belongs to one device whatever machine it is in. It lies under the
// platform that names it: what the platform gives itself, or the command line sets, goes before.
// Who reads a platform sees one document, each part of which knows its own file and line.
#pragma once

#include <filesystem>
#include <string>

#include "cmsim/base/config.hpp"

namespace cmsim::hw {

/// `platform` is the pointer of a platform in the document. The paths that it has so far are meant
/// from `directory`.
void anchor_files(ConfigDocument& document, const std::string& platform,
                  const std::filesystem::path& directory);

/// Puts what the files have in the place of their names. Throws ConfigError, of the file for what
/// stands there. No-op for what is no text.
void include_files(ConfigDocument& document, const std::string& platform);

/// A builder retires the keys of those that are there without one (the Clos, the one switch) and
/// that a lower layer gave. Throws ConfigError for such a key beside or above it: it has no effect.
void retire_keys_beside_builders(ConfigDocument& document, const std::string& platform);

/// A platform file with all that it names.
ConfigDocument open_platform(const std::filesystem::path& file);

}  // namespace cmsim::hw
