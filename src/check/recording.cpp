#include "cmsim/check/recording.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "cmsim/base/config.hpp"

namespace cmsim::check {
namespace {

namespace fs = std::filesystem;
using SortedJson = nlohmann::json;  // sorted, so that what did not move stays where it was

/// What tells one input from another; the rest of a provenance differs by place and by day.
bool is_recorded(const std::string& setting) {
  return setting == "version" || setting == "digest" || setting == "workload_digest" ||
         setting.ends_with(kPlan);
}

SortedJson rounded_number(double value) {
  return std::strtod(fmt::format("{:.12g}", value).c_str(), nullptr);
}

SortedJson rounded(const SortedJson& value) {
  return value.is_number_float() ? rounded_number(value.get<double>()) : value;
}

SortedJson to_json(const Figures& figures) {
  SortedJson out{{"command", to_string(figures.kind)}};
  for (const auto& [name, value] : figures.settings) {
    if (is_recorded(name)) out["input"][name] = value;
  }
  out["metrics"] = SortedJson::object();
  for (const auto& [name, value] : figures.metrics) out["metrics"][name] = rounded(value);
  out["parts"] = SortedJson::object();
  for (const PartGroup& group : figures.groups) {
    for (const auto& [name, value] : group.parts)
      out["parts"][group.name][name] = rounded_number(value);
  }
  return out;
}

Figures read_figures(const ConfigNode& node) {
  Figures figures;
  figures.kind = *kind_named(node.choice("command", {"run", "step", "collective", "p2p"}));
  const ConfigNode input = node.child_or_empty("input");
  for (const std::string& name : input.keys()) {
    figures.settings.emplace_back(name, input.text(name));
  }
  const ConfigNode metrics = node.child("metrics");
  for (const std::string& name : metrics.keys()) {
    const SortedJson& value = metrics.raw().at(name);
    if (value.is_structured()) metrics.fail(name, "expected a number, a text or a truth");
    figures.metrics[name] = value;
  }
  const ConfigNode parts = node.child("parts");
  for (const std::string& name : parts.keys()) {
    const ConfigNode group = parts.child(name);
    PartGroup& read = figures.groups.emplace_back(PartGroup{name, {}});
    for (const std::string& part : group.keys()) {
      read.parts.emplace_back(part, group.number(part));
    }
  }
  node.close();
  return figures;
}

}  // namespace

fs::path recording_of(const fs::path& baseline) {
  return fs::path(baseline).replace_extension(".recorded.json");
}

Recording load_recording(const fs::path& file) {
  Recording recording;
  std::error_code error;
  if (!fs::exists(file, error)) return recording;
  const ConfigDocument document = ConfigDocument::from_file(file);
  const ConfigNode root(document);
  const ConfigNode cases = root.child("cases");
  for (const std::string& name : cases.keys()) {
    recording.cases[name] = read_figures(cases.child(name));
  }
  root.close();
  return recording;
}

std::string to_text(const Recording& recording) {
  SortedJson out{{"cases", SortedJson::object()}};
  for (const auto& [name, figures] : recording.cases) out["cases"][name] = to_json(figures);
  return out.dump(2) + "\n";
}

}  // namespace cmsim::check
