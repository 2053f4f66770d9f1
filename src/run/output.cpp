#include "cmsim/run/output.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/metrics/requests_csv.hpp"
#include "cmsim/run/digest.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRequests = "requests.csv";
constexpr const char* kResult = "result.json";

}  // namespace

fs::path default_output_directory(const Scenario& scenario) {
  return fs::path("out") / fs::path(scenario.name).stem();
}

void check_output_directory(const fs::path& directory) {
  check_place(directory);
  std::error_code error;
  for (const char* name : {kRequests, kResult}) {
    if (fs::is_directory(directory / name, error)) {
      throw OutputError((directory / name).string() + ": is a directory, a file cannot replace it");
    }
  }
}

OutputFiles output_files(const Scenario& scenario, const metrics::Result& result,
                         metrics::Detail detail) {
  OutputFiles files;
  files.requests_csv = metrics::requests_csv(result.records, scenario.slo, scenario.role);
  Digest digest;
  digest.add(files.requests_csv);
  nlohmann::ordered_json json = metrics::to_json(result, detail);
  json["files"] = {
      {{"name", kRequests}, {"bytes", files.requests_csv.size()}, {"fnv1a64", digest.hex()}}};
  files.result_json = json_text(std::move(json)) + "\n";
  return files;
}

std::vector<fs::path> write_outputs(const fs::path& directory, const OutputFiles& files) {
  write_unit(directory, std::array{NamedContent{kRequests, files.requests_csv},
                                   NamedContent{kResult, files.result_json}});
  return {directory / kResult, directory / kRequests};
}

}  // namespace cmsim::run
