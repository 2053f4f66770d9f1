// A step of one rank as a Chrome trace (JSON) that Perfetto and chrome://tracing open.
//
// Complete events ("ph": "X") in microseconds to the nanosecond, one thread a track; slices of a
// track never overlap and end within the step.
#pragma once

#include <string>

#include "cmsim/run/step.hpp"

namespace cmsim::run {

std::string chrome_trace(const StepReport& report);

}  // namespace cmsim::run
