// Reads a study file: see docs/studies.md.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cmsim/base/config.hpp"
#include "cmsim/run/shipped.hpp"
#include "cmsim/study/study.hpp"

namespace cmsim::study {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> texts(const ConfigNode& node, std::string_view key) {
  std::vector<std::string> list;
  if (!node.has(key)) return list;
  node.elements(key);  // checks that it is an array
  for (const nlohmann::json& item : node.raw().at(std::string(key))) {
    if (!item.is_string()) node.fail(key, "expected an array of texts");
    list.push_back(item.get<std::string>());
  }
  return list;
}

/// Values as in --vary ("10GB/s..40GB/s:4") or an array of values.
Axis read_axis(const ConfigNode& node, const std::string& pointer, Repeats repeats) {
  const nlohmann::json& value = node.raw().at(pointer);
  const std::string origin =
      fmt::format("{}:{}:", node.where(pointer).file, node.where(pointer).line);
  if (value.is_string()) {
    node.text(pointer);
    return parse_axis(pointer + "=" + value.get<std::string>(), origin, repeats);
  }
  node.elements(pointer);
  Axis axis{pointer, {}};
  for (const nlohmann::json& item : value) {
    axis.values.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  }
  const bool place =
      pointer.starts_with('/') || pointer.starts_with("--") || pointer == kAlternatives;
  if (!place || axis.values.empty()) {
    node.fail(pointer, "expected a JSON pointer or an option, with one value or more");
  }
  if (const std::string problem = problem_of(axis.values, repeats); !problem.empty()) {
    node.fail(pointer, problem);
  }
  return axis;
}

std::vector<Axis> read_axes(const ConfigNode& root, std::string_view key) {
  std::vector<Axis> axes;
  const ConfigNode node = root.child_or_empty(key);
  const Repeats repeats = key == "zip" ? Repeats::kAllowed : Repeats::kRefused;
  for (const std::string& pointer : node.keys()) {
    axes.push_back(read_axis(node, pointer, repeats));
  }
  return axes;
}

/// The path of a file that lies there when seen from the working directory, whole; other texts as
/// they are.
std::string anchored(const std::string& text) {
  std::error_code error;
  if (text.empty() || !fs::exists(text, error)) return text;
  return fs::absolute(text).lexically_normal().string();
}

/// A path from where the study lies; the name of what comes with the program stays one.
fs::path scenario_of(const fs::path& directory, const std::string& named) {
  const fs::path file = (directory / named).lexically_normal();
  std::error_code error;
  const bool bare = !fs::path(named).has_parent_path() && !fs::path(named).has_extension();
  return bare && !fs::exists(file, error) ? fs::path(named) : file;
}

/// A value of a place of the scenario, of those that take files anchored.
std::string anchored_at(const std::string& pointer, const std::string& value) {
  const bool file = pointer == "/workload/trace" || pointer == "/platform" || pointer == "/model";
  return file ? anchored(value) : value;
}

/// "/pointer=value".
std::string anchored_set(const std::string& set) {
  const std::size_t equals = set.find('=');
  if (equals == std::string::npos) return set;
  const std::string pointer = set.substr(0, equals);
  return pointer + "=" + anchored_at(pointer, set.substr(equals + 1));
}

std::vector<std::string> anchored_values(const Axis& axis) {
  std::vector<std::string> values;
  for (const std::string& value : axis.values) {
    values.push_back(axis.pointer == kAlternatives ? anchored_set(value)
                                                   : anchored_at(axis.pointer, value));
  }
  return values;
}

std::vector<std::string> anchored_options(std::vector<std::string> options) {
  for (std::size_t i = 1; i < options.size(); ++i) {
    if (options[i - 1] == "--model") options[i] = anchored(options[i]);
  }
  return options;
}

}  // namespace

fs::path file_of(const Study& study) {
  const bool scenario = study.command == "run" || study.command == "step";
  return scenario ? run::find_scenario(study.file.string())
                  : run::find_platform(study.file.string());
}

std::string to_json(const Study& study) {
  std::vector<std::string> sets;
  for (const std::string& set : study.sets) sets.push_back(anchored_set(set));
  nlohmann::ordered_json json{{"scenario", anchored(file_of(study).string())},
                              {"command", study.command},
                              {"options", anchored_options(study.options)},
                              {"set", sets}};
  nlohmann::ordered_json vary = nlohmann::ordered_json::object(), zip = vary;
  for (const std::vector<Axis>& dimension : study.dimensions) {
    for (const Axis& axis : dimension)
      (dimension.size() > 1 ? zip : vary)[axis.pointer] = anchored_values(axis);
  }
  json["vary"] = vary;
  json["zip"] = zip;
  std::string seeds;
  for (const std::uint64_t seed : study.seeds) {
    seeds += (seeds.empty() ? "" : ",") + std::to_string(seed);
  }
  if (!seeds.empty()) json["seeds"] = seeds;
  for (const Metric& metric : study.metrics) json["metrics"].push_back(metric.name);
  return json.dump(2) + "\n";
}

bool is_study(const fs::path& file) {
  return ConfigDocument::from_file(file).value().contains("scenario");
}

Study read_study(const fs::path& file) {
  const ConfigDocument document = ConfigDocument::from_file(file);
  const ConfigNode root(document);
  const fs::path directory = file.parent_path();
  Study study;
  root.text_or("description", "");
  study.file = scenario_of(directory, root.text("scenario"));
  study.command = root.choice_or("command", "run", {"run", "step", "collective", "p2p"});
  study.options = texts(root, "options");
  study.sets = texts(root, "set");
  std::vector<std::string> traces;
  for (const std::string& trace : texts(root, "traces")) {
    traces.push_back((directory / trace).lexically_normal().string());
  }
  if (!traces.empty()) study.dimensions.push_back({Axis{"/workload/trace", traces}});
  for (Axis& axis : read_axes(root, "vary")) study.dimensions.push_back({std::move(axis)});
  if (auto together = read_axes(root, "zip"); !together.empty()) {
    study.dimensions.push_back(std::move(together));
  }
  if (root.has("seeds")) {
    study.seeds = parse_seeds(root.text("seeds"), root.where("seeds").file + " /seeds");
  }
  for (const std::string& metric : texts(root, "metrics")) {
    study.metrics.push_back(find_metric(metric, study.command));
  }
  root.close();
  return study;
}

}  // namespace cmsim::study
