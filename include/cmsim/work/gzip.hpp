// A string as the content of a .gz file: what the readers of this room read back.
#pragma once

#include <string>
#include <string_view>

namespace cmsim::work {

/// Without name or date, so that equal texts give equal bytes.
std::string gzip(std::string_view text);

}  // namespace cmsim::work
