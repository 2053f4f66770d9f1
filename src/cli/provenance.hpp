// Where the result of a measurement comes from, as a run says it of itself.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace cmsim::cli {

/// The version, what was read (`kind` is "scenario" or "platform", `named` as the user gave it),
/// the digest of all that was read, and the command line without what cannot change the result.
nlohmann::ordered_json provenance_json(const char* kind, const std::string& named,
                                       const std::string& digest, const CLI::App& command);

}  // namespace cmsim::cli
