// Sources as one HTML page that needs nothing beside it: style, program, library of charts and data
// are in it, and it may load nothing.
#pragma once

#include <span>
#include <string>

#include "cmsim/report/source.hpp"

namespace cmsim::report {

std::string page(std::span<const Source> sources);

}  // namespace cmsim::report
