// Options of a studied command that are short for keys of its scenario or platform.
//
// They become sets: as such a point is read, checked, addressed and run, and its command line says
// them.
#pragma once

#include <string>
#include <vector>

namespace cmsim::cli {

/// Takes out of `options` what they say of the scenario (--rate 80, --fail plane:3, --set ...) and
/// puts it behind `sets`; what is left are words of the command's own. Throws ConfigError for an
/// option of `run` that says nothing of the scenario: a study has its own.
void settle(const std::string& command, std::vector<std::string>& options,
            std::vector<std::string>& sets);

}  // namespace cmsim::cli
