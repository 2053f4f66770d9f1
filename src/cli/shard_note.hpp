// What is said after one part of a study: how the other parts are run and how all are put together.
#pragma once

#include <filesystem>
#include <string>

#include "cmsim/study/store.hpp"
#include "cmsim/study/tables.hpp"

namespace cmsim::cli {

/// The same command by GNU parallel and by MPI, and the one that gathers. Reads this process's own
/// command line.
std::string shard_note(const study::Shard& shard, const std::filesystem::path& directory);

/// As failures_report() and exit_code_of(), of the points of the part alone.
std::string failures_of_shard(const study::Table& table, const study::Shard& shard);
int exit_code_of_shard(const study::Table& table, const study::Shard& shard);

}  // namespace cmsim::cli
