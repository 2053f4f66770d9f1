#include "cmsim/run/output.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"
#include "cmsim/metrics/requests_csv.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& message) {
  throw ConfigError({path.string(), 0, ""}, message);
}

fs::path temporary_name(const fs::path& path) {
  fs::path temporary = path;
  temporary += ".part" + std::to_string(::getpid());
  return temporary;
}

}  // namespace

fs::path default_output_directory(const Scenario& scenario) {
  return fs::path("out") / fs::path(scenario.name).stem();
}

void prepare_output_directory(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail(directory, "cannot make the output directory: " + error.message());
  const fs::path probe = temporary_name(directory / "probe");
  if (!std::ofstream(probe)) {
    fail(directory, std::string("cannot write in the output directory: ") + std::strerror(errno));
  }
  fs::remove(probe, error);
}

void write_atomically(const fs::path& path, const std::string& content) {
  std::error_code unused;
  if (fs::exists(path, unused) && !fs::is_regular_file(path, unused)) {  // a pipe or a device
    std::ofstream file(path, std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.close();
    if (!file) fail(path, std::string("cannot be written: ") + std::strerror(errno));
    return;
  }
  const fs::path temporary = temporary_name(path);
  {
    std::ofstream file(temporary, std::ios::binary);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
    file.close();
    if (!file) {
      const std::string reason = std::strerror(errno);
      std::error_code ignored;
      fs::remove(temporary, ignored);
      fail(path, "cannot be written: " + reason);
    }
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error) {
    const std::string reason = error.message();
    fs::remove(temporary, error);
    fail(path, "cannot be written: " + reason);
  }
}

std::vector<fs::path> write_outputs(const fs::path& directory, const Scenario& scenario,
                                    const metrics::Result& result, metrics::Detail detail) {
  const fs::path requests = directory / "requests.csv";
  const fs::path summary = directory / "result.json";
  write_atomically(requests, metrics::requests_csv(result.records, scenario.slo, scenario.role));
  write_atomically(summary, metrics::to_json(result, detail).dump(2) + "\n");
  return {summary, requests};
}

}  // namespace cmsim::run
