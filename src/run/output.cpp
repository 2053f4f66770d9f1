#include "cmsim/run/output.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/metrics/aiperf_jsonl.hpp"
#include "cmsim/metrics/requests_csv.hpp"
#include "cmsim/run/digest.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRequests = "requests.csv";
constexpr const char* kResult = "result.json";
constexpr const char* kProfileExport = "profile_export.jsonl";

nlohmann::ordered_json named(const char* name, const std::string& content) {
  Digest digest;
  digest.add(content);
  return {{"name", name}, {"bytes", content.size()}, {"fnv1a64", digest.hex()}};
}

}  // namespace

fs::path default_output_directory(const Scenario& scenario) {
  return fs::path("out") / fs::path(scenario.name).stem();
}

void check_output_directory(const fs::path& directory) {
  check_place(directory);
  std::error_code error;
  for (const char* name : {kRequests, kProfileExport, kResult}) {
    if (fs::is_directory(directory / name, error)) {
      throw OutputError((directory / name).string() + ": is a directory, a file cannot replace it");
    }
  }
}

OutputFiles output_files(const Scenario& scenario, const metrics::Result& result,
                         metrics::Detail detail, RequestFormats formats) {
  OutputFiles files;
  files.requests_csv = metrics::requests_csv(result.records, scenario.slo, scenario.role);
  nlohmann::ordered_json json = metrics::to_json(result, detail);
  json["files"] = nlohmann::ordered_json::array({named(kRequests, files.requests_csv)});
  if (formats == RequestFormats::kCsvAndAiperf) {
    files.profile_export = metrics::aiperf_jsonl(result, scenario.role, detail);
    json["files"].push_back(named(kProfileExport, *files.profile_export));
  }
  files.result_json = json_text(std::move(json)) + "\n";
  return files;
}

std::vector<fs::path> write_outputs(const fs::path& directory, const OutputFiles& files) {
  std::vector<NamedContent> unit{{kRequests, files.requests_csv}};
  if (files.profile_export) unit.push_back({kProfileExport, *files.profile_export});
  unit.push_back({kResult, files.result_json});  // the seal
  write_unit(directory, unit);
  std::vector<fs::path> written;
  for (auto file = unit.rbegin(); file != unit.rend(); ++file) {
    written.push_back(directory / file->name);
  }
  return written;
}

}  // namespace cmsim::run
