// Device files: what belongs to one device whatever machine it is in, its dies, operators and dies
// a package, for platform files to name in "device".
//
// A device lies under the platform that names it: what the platform gives itself, or the command
// line sets, goes before. Who reads a platform sees the two as one.
#pragma once

#include <filesystem>
#include <string>

#include "cmsim/base/config.hpp"

namespace cmsim::hw {

/// `platform` is the pointer of a platform in the document. Where it names a device by a path, that
/// is meant from `directory`.
void anchor_device(ConfigDocument& document, const std::string& platform,
                   const std::filesystem::path& directory);

/// Takes "device" out of the platform and lays the file that it names under it. No-op when it is no
/// text. Throws ConfigError, of the device file for what stands there.
void lay_device(ConfigDocument& document, const std::string& platform);

/// A platform file with its device.
ConfigDocument open_platform(const std::filesystem::path& file);

}  // namespace cmsim::hw
