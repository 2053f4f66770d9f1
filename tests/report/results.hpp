// A result as `cmsim run` prints it, as far as the page reads it, and a place to put it.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "cmsim/base/error.hpp"
#include "cmsim/base/version.hpp"
#include "cmsim/report/source.hpp"
#include "cmsim/run/digest.hpp"

namespace cmsim::report {

inline nlohmann::ordered_json small_result() {
  auto result = nlohmann::ordered_json::parse(R"({
    "partial": false, "load": {"verdict": "stable", "why_no_rate": ""},
    "requests": {"total": 4, "finished": 4},
    "window": {
      "from_s": 1.0, "to_s": 9.0, "cohort_to_s": 5.0, "steady": true, "why_not": "",
      "request_goodput": 10.0, "request_throughput": 11.0, "output_throughput": 1000.0,
      "ttft_ms": {"mean": 200.0, "p99": 900.0}, "tpot_ms": {"mean": 40.0, "p99": 48.0},
      "slo": {"ttft_ms": 2000.0, "tpot_ms": 50.0, "met_at_p99": true},
      "links": [{"class": "die_ub", "direction": "out", "utilisation": 0.25},
                {"class": "die_ub", "direction": "in", "utilisation": 0.5}],
      "prefill": {"utilisation": 0.5}, "decode": {"utilisation": 0.75}},
    "breakdown": {"decode": null, "prefill": null},
    "provenance": {"scenario": "a.json", "command": "cmsim run a.json"}})");
  result["provenance"]["version"] = kVersion;
  return result;
}

/// Four requests sent at 0, 1, 4 and 5 s; the second had begun before the run.
inline const std::string kRequests =
    "id,prompt_tokens,output_tokens,initial_tokens,decode_instance,decode_rank,iterations,sent_s,"
    "decode_s,ttft_s,tpot_s,e2el_s,slo_met,prefill_instance,cached_tokens,ssd_tokens,turn\n"
    "0,100,11,0,0,0,6,0.000000,0.500000,0.100000,0.050000,0.600000,1,0,0,0,1\n"
    "1,100,21,10,0,1,6,1.000000,0.500000,0.100000,0.050000,0.600000,1,,0,0,\n"
    "2,100,11,0,0,0,6,4.000000,0.600000,0.300000,0.060000,0.900000,0,0,50,20,2\n"
    "3,100,11,0,0,2,6,5.000000,0.500000,0.200000,0.050000,0.700000,1,1,0,0,1\n";

inline Machine no_machine(const nlohmann::ordered_json&) { throw ConfigError("it lies elsewhere"); }

inline auto says(const char* text) {
  return ::testing::ThrowsMessage<ConfigError>(::testing::HasSubstr(text));
}

/// A directory of its own, removed at the end.
class Place {
 public:
  Place()
      : path_(std::filesystem::temp_directory_path() /
              ("cmsim_report." + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Place() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  /// The result, which names requests.csv as it is.
  void write_run(nlohmann::ordered_json result, const std::string& requests = kRequests) const {
    run::Digest digest;
    digest.add(requests);
    result["files"] = {{{"name", "requests.csv"}, {"fnv1a64", digest.hex()}}};
    write("requests.csv", requests);
    write("result.json", result.dump());
  }

 private:
  std::filesystem::path path_;
};

}  // namespace cmsim::report
