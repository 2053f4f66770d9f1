#include "run_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cmsim/base/error.hpp"
#include "cmsim/base/input_file.hpp"
#include "cmsim/base/version.hpp"
#include "cmsim/check/figures.hpp"
#include "cmsim/run/digest.hpp"
#include "machine.hpp"
#include "requests.hpp"
#include "series.hpp"

namespace cmsim::report {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::size_t kMostResult = 1'000'000'000, kMostBytes = 4'000'000'000;
constexpr std::size_t kLargestDrawing = 4'000'000;

Json read_result(const fs::path& file) {
  Json result = Json::parse(read_whole(file, kMostResult), nullptr, false);
  if (result.is_discarded()) {
    throw ConfigError(
        {file.string(), 0, ""},
        "no JSON; `cmsim run --out DIR` writes DIR/result.json, and --json prints it");
  }
  const check::Kind kind = check::kind_of(result, file.string());
  if (kind != check::Kind::kRun) {
    throw ConfigError(
        {file.string(), 0, ""},
        fmt::format("the result of `cmsim {}`, expected one of `cmsim run` or a study",
                    to_string(kind)));
  }
  return result;
}

/// What one of the files beside the result holds; nothing when it is not there. ConfigError when
/// it is another than the result names: they are of two runs.
std::optional<std::string> read_beside(const fs::path& result_file, const Json& result,
                                       const std::string& name) {
  if (!result.contains("files")) return std::nullopt;
  for (const Json& named : result["files"]) {
    if (named.value("name", "") != name) continue;
    const fs::path file = result_file.parent_path() / name;
    std::error_code error;
    if (!fs::exists(file, error)) return std::nullopt;
    std::string content = read_whole(file, kMostBytes);
    run::Digest digest;
    digest.add(content);
    if (digest.hex() != named.value("fnv1a64", "")) {
      throw ConfigError(
          {file.string(), 0, ""},
          fmt::format("not the file that {} names: its content has digest {}, "
                      "expected {}; run it again",
                      result_file.string(), digest.hex(), named.value("fnv1a64", "none")));
    }
    return content;
  }
  return std::nullopt;
}

void add_drawing(Source& source, const Json& result, const FindMachine& find_machine) {
  std::string why;
  Machine machine;
  try {
    machine = find_machine(result.at("provenance"));
    source.drawing = draw(machine, result);
  } catch (const ConfigError& error) {
    why = error.what();
  }
  if (source.drawing.size() > kLargestDrawing) {
    why =
        fmt::format("its drawing has {} MB; `cmsim topology PLATFORM --export FILE.svg` makes one",
                    source.drawing.size() / 1'000'000);
    source.drawing.clear();
  }
  source.data["machine"] = {{"drawn", !source.drawing.empty()}, {"why_not", why}};
  if (machine.prefill_of.size() > 1) {
    source.data["machine"]["prefill_of"] = machine.prefill_of;
    source.data["machine"]["decode_of"] = machine.decode_of;
  }
}

/// Has all that the page reads unasked: a result by hand or cut short is none.
void require_whole(const Json& result, const fs::path& file) {
  for (const char* pointer :
       {"/window/slo", "/window/ttft_ms", "/window/links", "/load/verdict", "/requests",
        "/breakdown", "/provenance/version", "/provenance/command"}) {
    if (result.contains(Json::json_pointer(pointer))) continue;
    throw ConfigError({file.string(), 0, pointer},
                      "missing; this is no whole result of `cmsim run`");
  }
}

}  // namespace

void require_version(const std::string& version, const std::string& file) {
  if (version == kVersion) return;
  throw ConfigError({file, 0, ""},
                    fmt::format("was written by cmsim {}, this is cmsim {}: make it again, or use "
                                "that version",
                                version.empty() ? "of no version" : version, kVersion));
}

Source run_source(const fs::path& file, const std::string& name, const FindMachine& find_machine) {
  Json result = read_result(file);
  require_whole(result, file);
  require_version(result.at("provenance").value("version", ""), file.string());
  for (const char* detail : {"ttfts", "itls", "input_lens", "output_lens"}) result.erase(detail);
  Source source;
  source.data = {{"kind", "run"}, {"name", name}, {"requests", nullptr}, {"series", nullptr}};
  try {
    if (const auto csv = read_beside(file, result, "requests.csv")) {
      source.data["requests"] =
          requests_json(*csv, (file.parent_path() / "requests.csv").string(), result.at("window"));
    }
    if (const auto csv = read_beside(file, result, "timeseries.csv")) {
      source.data["series"] = series_json(*csv, (file.parent_path() / "timeseries.csv").string());
    }
    add_drawing(source, result, find_machine);
  } catch (const Json::exception& error) {
    throw ConfigError({file.string(), 0, ""},
                      fmt::format("this is no whole result of `cmsim run`: {}", error.what()));
  }
  source.data["result"] = std::move(result);
  return source;
}

}  // namespace cmsim::report
