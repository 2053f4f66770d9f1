// The command line of this process, to be run again with other options.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cmsim::cli {

/// Its words without the program, without these options that take a value (in the next word or
/// after a "="), and without these flags.
std::vector<std::string> own_words(std::span<const std::string_view> without,
                                   std::span<const std::string_view> without_flags = {});

}  // namespace cmsim::cli
