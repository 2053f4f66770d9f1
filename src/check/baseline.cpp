#include "cmsim/check/baseline.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "cmsim/base/config.hpp"
#include "cmsim/study/axis.hpp"

namespace cmsim::check {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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

/// [1, 2, 5], or a text as --seeds takes it: "1..5".
std::vector<std::uint64_t> read_seeds(const ConfigNode& node) {
  if (!node.has("seeds")) return {};
  const json& raw = node.raw().at("seeds");
  std::string text = raw.is_string() ? raw.get<std::string>() : "";
  if (raw.is_array()) {
    for (const json& seed : raw) text += (text.empty() ? "" : ",") + seed.dump();
  }
  try {
    return study::parse_seeds(text, "seeds");
  } catch (const ConfigError& error) {
    node.fail("seeds", error.what());
  }
}

/// A headline by its name, or a pointer: a word that is neither would be a key that no result has.
Metric metric_named(const ConfigNode& metrics, const std::string& key, Kind kind) {
  std::vector<std::string> names;
  for (const Metric& headline : headlines(kind)) names.push_back(headline.name);
  if (key.starts_with('/') || std::ranges::find(names, key) != names.end()) {
    try {
      return study::find_metric(key, to_string(kind));
    } catch (const ConfigError&) {
      metrics.fail(key, "is no JSON pointer");
    }
  }
  metrics.fail(key, fmt::format("unknown metric, allowed are {} and JSON pointers into what "
                                "`cmsim {} --json` prints",
                                fmt::join(names, ", "), to_string(kind)));
}

Expectation read_expectation(const ConfigNode& metrics, const std::string& key, Kind kind) {
  if (const json& raw = metrics.raw().at(key); raw.is_object() && raw.contains("value")) {
    metrics.fail(key, "values are recorded by --update; one to measure from is a \"reference\"");
  }
  const ConfigNode node = metrics.child(key);
  Expectation expectation{metric_named(metrics, key, kind), 0, 0, {}, metrics.where(key)};
  expectation.relative = node.number_or("relative", 0, 0);
  expectation.absolute = node.number_or("absolute", 0, 0);
  if (node.has("reference")) expectation.reference = node.number("reference");
  if (node.has("direction")) {
    const std::string direction = node.choice("direction", {"both", "higher", "lower"});
    expectation.metric.better = direction == "higher"  ? Better::kHigher
                                : direction == "lower" ? Better::kLower
                                                       : Better::kUnknown;
  }
  node.close();
  return expectation;
}

Case read_case(const ConfigNode& node, const fs::path& directory) {
  Case made;
  made.name = node.text("name");
  if (made.name.empty()) node.fail("name", "is empty");
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
      return e.metric.pointer == added.metric.pointer;
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
