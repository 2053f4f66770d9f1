// The files of a run: result.json, requests.csv and when asked for profile_export.jsonl and
// timeseries.csv in one directory, as one unit (base/files.hpp). result.json seals it: it names the
// others by size and digest, so that whoever reads them can tell that they belong together.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/metrics/result.hpp"
#include "cmsim/run/scenario.hpp"

namespace cmsim::run {

/// Where a run writes when nothing is said: out/<scenario file without its extension>-<the first
/// ten digits of its digest>, from the working directory. Other settings have another place.
std::filesystem::path default_output_directory(const Scenario& scenario);

/// The result that a directory holds.
struct ExistingResult {
  std::string digest, workload_digest;  // of its scenario; "" when the file does not say
  bool partial = false;
  std::vector<std::string> files;  // beside it, which belong to it
};
std::optional<ExistingResult> existing_result(const std::filesystem::path& directory);

/// A result is replaced by one of the same scenario only. Throws a ConfigError that names both when
/// `existing` is of another than that with `digest`, and, once it is known, `workload_digest`.
void check_replaceable(const ExistingResult& existing, const std::filesystem::path& directory,
                       const std::string& digest, const std::string& workload_digest = "");

/// Where a result goes when it may not take the place of a whole one: a partial one is written
/// beside it, into `partial/`.
std::filesystem::path place_for(const metrics::Result& result,
                                const std::optional<ExistingResult>& existing,
                                const std::filesystem::path& directory);

/// Whether write_outputs() could write there, as far as that can be seen beforehand; changes
/// nothing. Throws ConfigError as check_place() does, OutputError when a directory lies in the
/// place of a file.
void check_output_directory(const std::filesystem::path& directory);

/// In which formats the requests are written.
enum class RequestFormats { kCsv, kCsvAndAiperf };

struct Written {
  std::vector<std::filesystem::path> files;
  std::string result_json;  // the text of the file
};
/// Requests are written as they are made into lines, not held as a text. Files of the result before
/// that this one does not have are taken away. Throws OutputError; what was there is then left as
/// write_unit() says.
Written write_outputs(const std::filesystem::path& directory, const Scenario& scenario,
                      const metrics::Result& result, metrics::Detail detail,
                      RequestFormats formats = RequestFormats::kCsv);

}  // namespace cmsim::run
