// What a page shows: runs and studies, each read from what cmsim wrote, as one JSON value.
//
// Figures are those of the results; only distributions over requests, means over neighbouring
// intervals and means over seeds are made here. What is left out to keep the page small is counted
// in the value. Nothing is simulated.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cmsim/hw/platform.hpp"

namespace cmsim::report {

/// Where a run took place, and the dies of its instances.
struct Machine {
  hw::Platform platform;
  std::vector<std::vector<std::int32_t>> prefill, decode;
  /// By supernode, how many instances it has of each; they are numbered on over the supernodes.
  std::vector<std::size_t> prefill_of = {}, decode_of = {};
};

/// The machine of a result, made again from its provenance: a result does not carry it. Throws
/// ConfigError, which the page then tells, when it cannot be.
using FindMachine = std::function<Machine(const nlohmann::ordered_json& provenance)>;

struct Source {
  nlohmann::ordered_json data;
  std::string drawing;  // of its machine, SVG; "" when there is none
};

/// A result of `cmsim run` (its directory or the JSON) or a study (its directory or study.sqlite).
/// Throws ConfigError for everything else, half of either, and what another version wrote.
Source load_source(const std::filesystem::path& place, const FindMachine& find_machine);

}  // namespace cmsim::report
