#include "cmsim/check/figures.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cmsim/base/error.hpp"
#include "cmsim/base/input_file.hpp"
#include "cmsim/study/point.hpp"
#include "figure_parts.hpp"

namespace cmsim::check {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 256'000'000;

/// Keys that only the output of one command has together.
bool is(const json& result, Kind kind) {
  const auto has = [&](const char* pointer, bool (json::*is_type)() const noexcept) {
    const json::json_pointer place(pointer);
    return result.contains(place) && (result.at(place).*is_type)();
  };
  switch (kind) {
    case Kind::kRun:
      return has("/provenance", &json::is_object) && has("/load", &json::is_object);
    case Kind::kStep:
      return has("/duration_us", &json::is_number) && has("/operators", &json::is_array);
    case Kind::kCollective:
      return has("/op", &json::is_string) && has("/parts", &json::is_object);
    case Kind::kP2p:
      return has("/time_us", &json::is_number) && has("/plane", &json::is_string);
  }
  return false;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, json::error_handler_t::replace);
}

using Settings = std::vector<std::pair<std::string, std::string>>;

/// Each --set and option of a command line by itself; the rest of the words by place.
void add_command(Settings& settings, const std::string& command) {
  std::vector<std::string> options;  // "--name value ..."
  for (const std::string& word : study::words_in(command)) {
    if (word.starts_with("--")) {
      options.push_back(word);
    } else if (!options.empty()) {
      options.back() += " " + word;
    }
  }
  for (const std::string& option : options) {
    const bool set = option.starts_with("--set ");
    const std::size_t end = option.find(set ? '=' : ' ');
    settings.emplace_back(option.substr(0, end),
                          end == std::string::npos ? "given" : option.substr(end + 1));
  }
}

/// How a step divides its work, which a small move of a cost may change.
void add_plan(Settings& settings, const std::string& role, const json& breakdown) {
  if (!breakdown.is_object() || !breakdown.contains("microbatches")) return;
  std::string plan = "microbatches " + text_of(breakdown.at("microbatches"));
  for (const char* cores : {"attention_aic", "attention_aiv"}) {
    if (!breakdown.contains(cores) || breakdown.at(cores).is_null()) continue;
    plan += fmt::format(", {} {}", cores, text_of(breakdown.at(cores)));
  }
  settings.emplace_back(role + std::string(kPlan), plan);
}

/// What was read comes first, and then the command line.
void add_provenance(Settings& settings, const json& result) {
  if (!result.contains("provenance")) return;
  const json& provenance = result.at("provenance");
  for (const char* read : {"scenario", "platform"}) {
    if (provenance.contains(read)) settings.emplace_back(read, text_of(provenance.at(read)));
  }
  if (provenance.contains("command")) add_command(settings, text_of(provenance.at("command")));
  for (const auto& [key, value] : provenance.items()) {
    const bool known = key == "scenario" || key == "platform" || key == "command";
    if (!known) settings.emplace_back(key, text_of(value));
  }
}

Settings settings_of(const json& result, Kind kind) {
  Settings settings;
  const auto add = [&](const json& from, std::initializer_list<const char*> keys) {
    for (const char* key : keys) {
      if (from.contains(key)) settings.emplace_back(key, text_of(from.at(key)));
    }
  };
  switch (kind) {
    case Kind::kRun: {
      add_provenance(settings, result);
      add(result, {"partial"});
      for (const std::string role : {"decode", "prefill"}) {
        const json::json_pointer place("/breakdown/" + role);
        if (result.contains(place)) add_plan(settings, role, result.at(place));
      }
      break;
    }
    case Kind::kStep:
      add_provenance(settings, result);
      add(result, {"phase", "ranks", "batch_per_npu", "context", "network_note"});
      add_plan(settings, text_of(result.value("phase", json())), result);
      break;
    case Kind::kCollective:
      add_provenance(settings, result);
      add(result, {"op", "ep", "tokens", "exchange", "network", "bytes_per_rank", "bound_by"});
      break;
    case Kind::kP2p:
      add_provenance(settings, result);
      add(result, {"from", "to", "op", "plane", "bytes", "path"});
      break;
  }
  return settings;
}

}  // namespace

Kind kind_of(const json& result, const std::string& name) {
  for (const Kind kind : {Kind::kRun, Kind::kStep, Kind::kCollective, Kind::kP2p}) {
    if (is(result, kind)) return kind;
  }
  std::vector<std::string> keys;
  if (result.is_object()) {
    for (const auto& [key, value] : result.items()) {
      if (keys.size() < 6) keys.push_back(key);
    }
  }
  throw ConfigError(
      {name, 0, ""},
      fmt::format("no result of cmsim: found {}, expected what `cmsim run, step, "
                  "collective or p2p --json` prints",
                  !result.is_object() ? std::string(result.type_name())
                  : keys.empty()      ? "an empty object"
                                      : "keys " + fmt::format("{}", fmt::join(keys, ", "))));
}

Figures figures_of(const json& result, Kind kind, std::span<const Metric> metrics) {
  Figures figures;
  figures.kind = kind;
  figures.settings = settings_of(result, kind);
  for (const Metric& metric : metrics) {
    const json::json_pointer place(metric.pointer);
    if (result.contains(place)) figures.metrics[metric.name] = result.at(place);
  }
  figures.groups = groups_of(result, kind);
  return figures;
}

json load_result(const fs::path& place) {
  std::error_code error;
  fs::path file = place;
  if (fs::is_directory(place, error)) {
    file = place / "result.json";
    if (!fs::exists(file, error)) {
      throw ConfigError({place.string(), 0, ""}, "a directory without result.json");
    }
  }
  const json result = json::parse(read_whole(file, kMostBytes), nullptr, false);
  if (result.is_discarded()) {
    throw ConfigError(
        {file.string(), 0, ""},
        "no JSON; `cmsim run --out DIR` writes DIR/result.json, and --json prints it");
  }
  return result;
}

bool same(const json& a, const json& b) {
  if (!a.is_number() || !b.is_number()) return a == b;
  const auto x = a.get<double>(), y = b.get<double>();
  return x == y || fmt::format("{:.12g}", x) == fmt::format("{:.12g}", y);
}

bool adds_up(std::string_view group) { return group.ends_with(kCriticalPath) || group == kParts; }

}  // namespace cmsim::check
