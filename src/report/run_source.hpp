#pragma once

#include <filesystem>
#include <string>

#include "cmsim/report/source.hpp"

namespace cmsim::report {

/// Of a result of `cmsim run` in `file`, with the files that it names where they lie beside it.
Source run_source(const std::filesystem::path& file, const std::string& name,
                  const FindMachine& find_machine);

/// Throws ConfigError unless it is that of this program: figures of others may mean other things.
void require_version(const std::string& version, const std::string& file);

}  // namespace cmsim::report
