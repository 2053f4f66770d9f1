// `cmsim run --band`: the headlines of a run while its constants move within their ranges.
//
// The samples run before the run that they are about: SimGrid's clock begins once in a process, and
// those are forked from this one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cmsim/metrics/result.hpp"
#include "cmsim/study/band.hpp"
#include "study_engine.hpp"

namespace cmsim::cli {

struct BandRequest {
  std::string scenario;
  std::vector<run::Setting> settings;
  std::uint64_t seed = 1;  // of the run, and of the hypercube
  std::size_t samples = 0;
  std::filesystem::path directory;  // of the samples
  StudyOptions options;
};

struct BandSamples {
  study::Table table;
  std::vector<study::UncertainConstant> constants;
  std::vector<std::string> idle;
};

/// Runs what is not there yet and says what failed. Throws ConfigError, also when nothing has a
/// range, and Interrupted.
BandSamples run_band(const BandRequest& request, serve::PolicyRegistry registry);

/// The bands about a run of the same scenario.
metrics::Uncertainty uncertainty_of(const BandSamples& samples, const metrics::Result& nominal);

/// "tpot  41.2 ms, 37 to 45  +operators/attention_overlap 62 %", a line a band.
std::string format_bands(const metrics::Uncertainty& uncertainty, Paint paint);

}  // namespace cmsim::cli
