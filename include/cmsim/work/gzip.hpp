// A string as the content of a compressed file: what the readers of this room read back.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace cmsim::work {

/// Without name or date, so that equal texts give equal bytes.
std::string gzip(std::string_view text);
std::string zstd(std::string_view text);

/// What belongs into a file of that name: gzip in .gz, zstd in .zst, the text itself in any other.
std::string packed_for(const std::filesystem::path& file, std::string text);

}  // namespace cmsim::work
