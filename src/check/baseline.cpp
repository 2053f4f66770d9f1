#include "cmsim/check/baseline.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "cmsim/base/config.hpp"

namespace cmsim::check {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::int64_t kMostSeeds = 10'000;

/// Options that say what is run are in keys of their own; those that say where a result goes are
/// ours.
const std::vector<std::string> kOwnOptions{"set", "seed",  "seeds", "json",
                                           "out", "quiet", "help",  "detailed"};

std::vector<std::string> read_texts(const ConfigNode& node, std::string_view key) {
  std::vector<std::string> texts;
  if (!node.has(key)) return texts;
  for (const ConfigNode& element : node.elements(key)) {
    if (!element.raw().is_string()) element.fail("expected a text");
    texts.push_back(element.raw().get<std::string>());
  }
  return texts;
}

/// {"phase": "decode", "ep": 64} becomes --phase decode --ep 64.
std::vector<std::string> read_options(const ConfigNode& node, Kind kind) {
  std::vector<std::string> words;
  for (const std::string& key : node.keys()) {
    const json& value = node.raw().at(key);
    if (std::ranges::find(kOwnOptions, key) != kOwnOptions.end()) {
      node.fail(key, "is no option of a case: settings are in \"set\", seeds in \"seeds\"");
    }
    if (kind == Kind::kStep && key == "trace") node.fail(key, "would write a file");
    if (!value.is_string() && !value.is_number()) {
      node.fail(key, "expected a text or a number, the value of the option");
    }
    words.push_back("--" + key);
    words.push_back(value.is_string() ? value.get<std::string>() : value.dump());
  }
  return words;
}

/// [1, 2, 5] or "1..5".
std::vector<std::uint64_t> read_seeds(const ConfigNode& node) {
  std::vector<std::uint64_t> seeds;
  if (!node.has("seeds")) return seeds;
  const json& raw = node.raw().at("seeds");
  if (raw.is_string()) {
    std::uint64_t first = 0, last = 0;
    const std::string text = raw.get<std::string>();
    const char* end = text.data() + text.size();
    const auto from = std::from_chars(text.data(), end, first);
    const bool dots = from.ec == std::errc() && std::string_view(from.ptr, end).starts_with("..");
    const auto to = dots ? std::from_chars(from.ptr + 2, end, last) : from;
    if (!dots || to.ec != std::errc() || to.ptr != end || last < first) {
      node.fail("seeds", fmt::format("found \"{}\", expected e.g. \"1..5\" or [1, 2, 3]", text));
    }
    if (last - first >= kMostSeeds) {
      node.fail("seeds", fmt::format("allowed are {} seeds", kMostSeeds));
    }
    for (std::uint64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
    return seeds;
  }
  for (const ConfigNode& element : node.elements("seeds")) {
    if (!element.raw().is_number_unsigned()) element.fail("expected a whole number from 0");
    seeds.push_back(element.raw().get<std::uint64_t>());
  }
  if (std::set(seeds.begin(), seeds.end()).size() != seeds.size()) {
    node.fail("seeds", "a seed is written twice");
  }
  return seeds;
}

Expectation read_expectation(const ConfigNode& metrics, const std::string& key, Kind kind) {
  const auto metric = metric_named(kind, key);
  if (!metric) {
    std::vector<std::string> names;
    for (const Metric& headline : headlines(kind)) names.push_back(headline.name);
    metrics.fail(key, fmt::format("unknown metric, allowed are {} and JSON pointers into what "
                                  "`cmsim {} --json` prints",
                                  fmt::join(names, ", "), to_string(kind)));
  }
  const ConfigNode node = metrics.child(key);
  Expectation expectation{*metric, 0, 0, {}, metrics.where(key)};
  expectation.relative = node.number_or("relative", 0, 0);
  expectation.absolute = node.number_or("absolute", 0, 0);
  if (node.has("reference")) expectation.reference = node.number("reference");
  if (node.has("direction")) {
    const std::string direction = node.choice("direction", {"both", "higher", "lower"});
    expectation.metric.better = direction == "higher"  ? Direction::kHigher
                                : direction == "lower" ? Direction::kLower
                                                       : Direction::kBoth;
  }
  node.close();
  return expectation;
}

Case read_case(const ConfigNode& node, const fs::path& directory) {
  Case made;
  made.name = node.text("name");
  made.where = node.where();
  made.kind = *kind_named(node.choice("command", {"run", "step", "collective", "p2p"}));
  made.point.command = to_string(made.kind);
  const bool whole = made.kind == Kind::kRun || made.kind == Kind::kStep;
  made.point.file = (directory / node.text(whole ? "scenario" : "platform")).lexically_normal();
  made.point.sets = read_texts(node, "set");
  if (node.has("options")) made.point.options = read_options(node.child("options"), made.kind);
  made.seeds = read_seeds(node);
  if (made.kind == Kind::kP2p && !made.seeds.empty()) {
    node.fail("seeds", "nothing of a p2p transfer is random");
  }
  const ConfigNode metrics = node.child("metrics");
  for (const std::string& key : metrics.keys()) {
    const Expectation& added =
        made.expectations.emplace_back(read_expectation(metrics, key, made.kind));
    const auto same_metric = [&](const Expectation& e) {
      return e.metric.name == added.metric.name;
    };
    if (std::ranges::count_if(made.expectations, same_metric) > 1) {
      metrics.fail(key, fmt::format("is {}, which is there already", added.metric.name));
    }
  }
  if (made.expectations.empty()) node.fail("metrics", "at least one metric is needed");
  node.close();
  return made;
}

}  // namespace

Baseline load_baseline(const fs::path& file) {
  const ConfigDocument document = ConfigDocument::from_file(file);
  const ConfigNode root(document);
  Baseline baseline;
  baseline.file = file;
  baseline.description = root.text_or("description", "");
  baseline.changes = root.choice_or("changes", "fail", {"fail", "allow"}) == "allow"
                         ? Changes::kAllow
                         : Changes::kFail;
  std::set<std::string> names;
  for (const ConfigNode& node : root.elements("cases")) {
    baseline.cases.push_back(read_case(node, file.parent_path()));
    if (!names.insert(baseline.cases.back().name).second) {
      node.fail("name", fmt::format("\"{}\" is the name of two cases", baseline.cases.back().name));
    }
  }
  if (baseline.cases.empty()) root.fail("cases", "at least one case is needed");
  root.close();
  return baseline;
}

Baseline only(Baseline baseline, const std::string& text) {
  std::vector<std::string> names;
  for (const Case& made : baseline.cases) names.push_back(made.name);
  std::erase_if(baseline.cases,
                [&](const Case& made) { return made.name.find(text) == std::string::npos; });
  if (baseline.cases.empty()) {
    throw ConfigError(fmt::format("--only {}: no case has a name that contains it, there are {}",
                                  text, fmt::join(names, ", ")));
  }
  return baseline;
}

}  // namespace cmsim::check
