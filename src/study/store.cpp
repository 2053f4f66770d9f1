#include "cmsim/study/store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/base/input_file.hpp"

namespace cmsim::study {
namespace {

namespace fs = std::filesystem;

constexpr const char *kPoint = "point.json", *kResult = "result.json";
constexpr std::size_t kMostBytes = 4'000'000'000;  // of a result

struct EndingName {
  Ending ending;
  const char* name;
};
constexpr std::array kEndings{
    EndingName{Ending::kDone, "done"},     EndingName{Ending::kRefused, "refused"},
    EndingName{Ending::kFailed, "failed"}, EndingName{Ending::kBug, "internal error"},
    EndingName{Ending::kDied, "died"},     EndingName{Ending::kTooLong, "took too long"}};

nlohmann::ordered_json to_json(const StudyPoint& point, const Outcome& outcome) {
  const auto ending = std::find_if(kEndings.begin(), kEndings.end(), [&](const EndingName& name) {
    return name.ending == outcome.ending;
  });
  nlohmann::ordered_json json{{"digest", point.digest},
                              {"command", spelled(point.point)},
                              {"sets", point.point.sets},
                              {"seed", nullptr},
                              {"ending", ending->name},
                              {"error", outcome.error},
                              {"attempts", outcome.attempts},
                              {"cpu_s", outcome.cpu},
                              {"peak_memory_bytes", outcome.peak_memory}};
  if (point.point.seed) json["seed"] = *point.point.seed;
  return json;
}

Outcome outcome_of(const nlohmann::json& json, const fs::path& folder) {
  Outcome outcome;
  const std::string name = json.at("ending").get<std::string>();
  for (const auto& [ending, spelling] : kEndings) {
    if (name == spelling) outcome.ending = ending;
  }
  outcome.error = json.at("error").get<std::string>();
  outcome.attempts = json.at("attempts").get<int>();
  outcome.cpu = json.at("cpu_s").get<double>();
  outcome.peak_memory = json.at("peak_memory_bytes").get<Bytes>();
  if (outcome.done()) outcome.result = read_whole(folder / kResult, kMostBytes);
  return outcome;
}

}  // namespace

fs::path Store::folder(const std::string& digest) const { return directory_ / "points" / digest; }

std::optional<Outcome> Store::find(const std::string& digest) const {
  const fs::path file = folder(digest) / kPoint;
  std::error_code error;
  if (!fs::exists(file, error)) return std::nullopt;
  try {
    return outcome_of(nlohmann::json::parse(read_whole(file, kMostBytes)), folder(digest));
  } catch (const std::exception& failure) {
    throw OutputError(
        fmt::format("{}: is no point of a study: {}; remove its folder to have it "
                    "run again",
                    file.string(), failure.what()));
  }
}

void Store::put(const StudyPoint& point, const Outcome& outcome) const {
  const std::string facts = to_json(point, outcome).dump(2) + "\n";
  std::vector<NamedContent> files;
  if (outcome.done()) files.push_back({kResult, outcome.result});
  files.push_back({kPoint, facts});
  write_unit(folder(point.digest), files);
}

Shard parse_shard(const std::string& text) {
  Shard shard;
  const char* const last = text.data() + text.size();
  const auto slash = std::from_chars(text.data(), last, shard.number);
  if (slash.ec == std::errc() && slash.ptr != last && *slash.ptr == '/') {
    const auto end = std::from_chars(slash.ptr + 1, last, shard.of);
    const bool whole = end.ec == std::errc() && end.ptr == last;
    if (whole && shard.number >= 1 && shard.number <= shard.of) return shard;
  }
  throw ConfigError({"--shard " + text, 0, ""}, "expected i/n, e.g. 1/8 to 8/8");
}

bool in_shard(std::size_t number, const Shard& shard) {
  return number % shard.of == shard.number - 1;
}

std::vector<Outcome> execute(std::span<const StudyPoint> points, const Store& store,
                             const Work& work, const ExecuteOptions& options) {
  std::vector<Outcome> outcomes(points.size());
  std::map<std::string, std::size_t> first;  // of equal points
  std::vector<Point> to_run;
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!first.emplace(points[i].digest, i).second) continue;
    if (const auto kept = store.find(points[i].digest)) outcomes[i] = *kept;
    const bool due = options.missing == Missing::kRun && in_shard(i, options.shard);
    if (outcomes[i].done() || !due) continue;
    to_run.push_back(points[i].point);
    numbers.push_back(i);
  }
  if (options.on_start) options.on_start(numbers);
  RunnerOptions runner = options.runner;
  runner.on_end = [&](std::size_t index, const Outcome& outcome) {
    const std::size_t number = numbers[index];
    store.put(points[number], outcome);
    if (options.runner.on_end) options.runner.on_end(number, outcome);
  };
  std::vector<Outcome> run = run_points(to_run, work, runner);
  for (std::size_t i = 0; i < run.size(); ++i) {
    if (run[i].ending != Ending::kNotEnded) outcomes[numbers[i]] = std::move(run[i]);
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::size_t same = first.at(points[i].digest);
    if (same != i) outcomes[i] = outcomes[same];
  }
  return outcomes;
}

}  // namespace cmsim::study
