#include "cmsim/run/output.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
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
constexpr const char* kTimeSeries = "timeseries.csv";
constexpr std::array<std::string_view, 3> kBeside = {kRequests, kProfileExport, kTimeSeries};

/// Tells a file by its size and digest while it is written.
class Seal {
 public:
  explicit Seal(std::string_view name) : name_(name) {}
  std::string_view pass(std::string_view piece) {
    digest_.add(piece);
    bytes_ += piece.size();
    return piece;
  }
  nlohmann::ordered_json json() const {
    return {{"name", name_}, {"bytes", bytes_}, {"fnv1a64", digest_.hex()}};
  }

 private:
  std::string_view name_;
  Digest digest_;
  std::size_t bytes_ = 0;
};

/// Reads a result.json up to what tells it from others and which files belong to it, which comes
/// before its long lists.
class SealReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  ExistingResult found;

  bool start_object(std::size_t) override {
    if (++depth_ == 2) section_ = key_;
    return true;
  }
  bool end_object() override { return !(depth_-- == 2 && section_ == "files"); }
  bool start_array(std::size_t) override { return start_object(0); }
  bool end_array() override { return end_object(); }
  bool key(string_t& key) override {
    key_ = key;
    return true;
  }
  bool boolean(bool value) override {
    if (depth_ == 1 && key_ == "partial") found.partial = value;
    return true;
  }
  bool string(string_t& value) override {
    if (depth_ == 3 && section_ == "files" && key_ == "name") found.files.push_back(value);
    if (depth_ != 2 || section_ != "provenance") return true;
    if (key_ == "digest") found.digest = value;
    if (key_ == "workload_digest") found.workload_digest = value;
    return true;
  }
  bool null() override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  int depth_ = 0;
  std::string key_, section_;
};

/// Files of the result in the directory that the unit has no new ones for; of those that a run
/// writes, whatever its result.json names.
std::vector<std::string_view> left_by_the_result_before(const fs::path& directory,
                                                        const std::vector<NamedContent>& unit) {
  std::vector<std::string_view> left;
  const auto existing = existing_result(directory);
  if (!existing) return left;
  for (const std::string_view name : kBeside) {
    const bool had = std::ranges::find(existing->files, name) != existing->files.end();
    const bool has = std::ranges::find(unit, name, &NamedContent::name) != unit.end();
    if (had && !has) left.push_back(name);
  }
  return left;
}

/// The files behind the provenance, before the lists of a detailed result.
nlohmann::ordered_json with_files(nlohmann::ordered_json result, nlohmann::ordered_json files) {
  nlohmann::ordered_json json;
  for (auto& [key, value] : result.items()) {
    json[key] = std::move(value);
    if (key == "provenance") json["files"] = std::move(files);
  }
  return json;
}

}  // namespace

fs::path default_output_directory(const Scenario& scenario) {
  return fs::path("out") /
         (fs::path(scenario.name).stem().string() + "-" + scenario.digest.substr(0, 10));
}

std::optional<ExistingResult> existing_result(const fs::path& directory) {
  std::ifstream file(directory / kResult, std::ios::binary);
  if (!file) return std::nullopt;
  SealReader reader;
  nlohmann::json::sax_parse(file, &reader);
  return reader.found;
}

void check_replaceable(const ExistingResult& existing, const fs::path& directory,
                       const std::string& digest, const std::string& workload_digest) {
  const auto refuse = [&](const std::string& what) {
    throw ConfigError({.file = directory.string(), .line = 0, .pointer = ""},
                      what + "; name another place with --out, or replace it with --force");
  };
  if (existing.digest.empty()) refuse("holds a result.json that cmsim has not written");
  if (existing.digest != digest) {
    refuse(fmt::format("holds the result of another scenario (its digest is {}, of this one {})",
                       existing.digest, digest));
  }
  if (workload_digest.empty() || existing.workload_digest == workload_digest) return;
  refuse(
      fmt::format("holds the result of other requests, the trace has changed (its digest is {}, "
                  "of this one {})",
                  existing.workload_digest, workload_digest));
}

fs::path place_for(const metrics::Result& result, const std::optional<ExistingResult>& existing,
                   const fs::path& directory) {
  return result.partial && existing && !existing->partial ? directory / "partial" : directory;
}

void check_output_directory(const fs::path& directory) {
  check_place(directory);
  std::error_code error;
  for (const char* name : {kRequests, kProfileExport, kTimeSeries, kResult}) {
    if (fs::is_directory(directory / name, error)) {
      throw OutputError((directory / name).string() + ": is a directory, a file cannot replace it");
    }
  }
}

Written write_outputs(const fs::path& directory, const Scenario& scenario,
                      const metrics::Result& result, metrics::Detail detail,
                      RequestFormats formats) {
  std::vector<NamedContent> unit;
  std::vector<Seal> seals;
  seals.reserve(kBeside.size());  // they are referred to
  const auto add = [&](const char* name, auto next) {
    Seal& seal = seals.emplace_back(name);
    unit.push_back({name, {}, [&seal, next]() mutable { return seal.pass(next()); }});
  };
  const auto whole = [](auto make) {  // in one piece, made when it is asked for
    return [make, text = std::string(), is_made = false]() mutable -> std::string_view {
      text = std::exchange(is_made, true) ? "" : make();
      return text;
    };
  };
  metrics::RequestsCsv csv(result.records, result.classes, scenario.role);
  add(kRequests, [&csv] { return csv.next(); });
  if (formats == RequestFormats::kCsvAndAiperf) {
    add(kProfileExport,
        whole([&] { return metrics::aiperf_jsonl(result, scenario.role, detail); }));
  }
  if (result.time_series) add(kTimeSeries, whole([&] { return *result.time_series; }));
  Written written;
  unit.push_back({kResult, {}, [&]() -> std::string_view {  // the seal
                    if (!written.result_json.empty()) return {};
                    auto files = nlohmann::ordered_json::array();
                    for (const Seal& seal : seals) files.push_back(seal.json());
                    written.result_json =
                        json_text(with_files(metrics::to_json(result, detail), std::move(files))) +
                        "\n";
                    return written.result_json;
                  }});
  write_unit(directory, unit, left_by_the_result_before(directory, unit));
  for (auto file = unit.rbegin(); file != unit.rend(); ++file) {
    written.files.push_back(directory / file->name);
  }
  return written;
}

}  // namespace cmsim::run
