#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <system_error>

#include "validation.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;

Command read_command(const ConfigNode& node, std::string_view key) {
  Command command;
  node.elements(key);  // checks that it is an array
  for (const nlohmann::json& part : node.raw().at(std::string(key))) {
    if (!part.is_string()) node.fail(key, "expected an array of texts, the arguments of cmsim");
    command.push_back(part.get<std::string>());
  }
  const std::vector<std::string> known{"run", "collective", "p2p", "step"};
  if (command.empty() || std::find(known.begin(), known.end(), command[0]) == known.end()) {
    node.fail(key, fmt::format("found {}, allowed is a command line of {}",
                               command.empty() ? "nothing" : command[0], fmt::join(known, ", ")));
  }
  return command;
}

/// Where the figure lies in what a command prints.
std::string read_metric(const ConfigNode& node) {
  const std::string text = node.text("metric");
  try {
    const nlohmann::json::json_pointer pointer(text);
  } catch (const nlohmann::json::exception&) {
    node.fail("metric",
              fmt::format("found \"{}\", expected a JSON pointer, e.g. /latency_us", text));
  }
  return text;
}

ValidationRow read_row(const ConfigNode& node) {
  ValidationRow row;
  row.id = node.text("id");
  row.group = node.text("group");
  row.what = node.text("what");
  row.command = read_command(node, "command");
  if (node.has("over")) row.over = read_command(node, "over");
  row.metric = read_metric(node);
  row.unit = node.text("unit");
  row.published = node.number("published");
  if (row.published == 0) node.fail("published", "found 0, a relative error needs another value");
  row.source = node.text("source");
  row.role = node.choice("role", {"input", "calibrated", "predicted"});
  if (node.has("tolerance")) row.tolerance = node.number("tolerance", 0, 10);
  node.close();
  return row;
}

Ablation read_ablation(const ConfigNode& node) {
  Ablation ablation;
  ablation.id = node.text("id");
  ablation.what = node.text("what");
  ablation.command = read_command(node, "command");
  ablation.baseline = read_command(node, "baseline");
  ablation.metric = read_metric(node);
  ablation.unit = node.text("unit");
  ablation.explanation = node.text("explanation");
  node.close();
  return ablation;
}

FreeParameter read_parameter(const ConfigNode& node) {
  FreeParameter parameter{node.text("name"),    node.text("file"),
                          node.text("value"),   node.choice("level", {"operator", "system"}),
                          node.text("meaning"), node.text("fitted_on"),
                          node.text("pointer")};
  node.close();
  return parameter;
}

}  // namespace

std::string spelled(const Command& command) {
  return fmt::format("cmsim {}", fmt::join(command, " "));
}

Validation load_validation(const fs::path& file) {
  const ConfigDocument document = ConfigDocument::from_file(file);
  const ConfigNode root(document);
  Validation validation;
  validation.root = fs::absolute(file).parent_path().parent_path().parent_path();
  for (const ConfigNode& node : root.elements("parameters")) {
    validation.parameters.push_back(read_parameter(node));
  }
  for (const ConfigNode& node : root.elements("rows")) validation.rows.push_back(read_row(node));
  for (const ConfigNode& node : root.elements("ablations")) {
    validation.ablations.push_back(read_ablation(node));
  }
  root.close();
  return validation;
}

fs::path default_validation_file() {
  const fs::path inside = fs::path("workloads") / "studies" / "published.json";
  std::error_code error;
  const fs::path binary = fs::read_symlink("/proc/self/exe", error).parent_path();
  const std::vector<fs::path> places{fs::path("."), binary / ".." / "..",
                                     binary / ".." / "share" / "cmsim"};
  for (const fs::path& place : places) {
    if (fs::exists(place / inside, error)) return place / inside;
  }
  throw ConfigError(fmt::format(
      "no {} below the working directory or beside the program; name the file", inside.string()));
}

}  // namespace cmsim::cli
