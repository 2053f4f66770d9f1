#include "scenario_document.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "cmsim/hw/platform_files.hpp"
#include "cmsim/run/shipped.hpp"
#include "policy_keys.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostFiles = 16;  // that extend each other
constexpr const char *kPlatform = "/platform", *kModel = "/model";

/// The device of a platform is meant from where the platform lies.
void include_platform(ConfigDocument& document, const fs::path& directory) {
  const std::string named = document.text_at(kPlatform);
  document.include_file(kPlatform, directory);
  if (named.empty()) return;
  hw::anchor_files(document, kPlatform, (directory / named).parent_path());
}

void splice(ConfigDocument& document, const fs::path& directory) {
  include_platform(document, directory);
  document.include_file(kModel, directory);
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

fs::path beside(const fs::path& directory, const std::string& path) {
  return (directory / path).lexically_normal();
}

constexpr const char* kTrace[] = {"/workload/trace", "/workload/trace/value"};

/// The trace of a file is meant from where the file lies.
void anchor_trace(ConfigDocument& document, const fs::path& directory) {
  for (const char* pointer : kTrace) {
    const std::string path = document.text_at(pointer);
    if (!path.empty()) document.replace_text(pointer, beside(directory, path).string());
  }
}

std::string extended(const ConfigDocument& document) {
  const std::string path = document.text_at("/extends");
  if (path.empty() && document.has("/extends")) {
    throw ConfigError(document.location("/extends"), "expected the path of a scenario");
  }
  return path;
}

/// A file beside the one that names it, else the shipped scenario of that name.
fs::path file_extended(const fs::path& directory, const std::string& named,
                       const SourceLocation& place) {
  const fs::path file = beside(directory, named);
  if (is_there(file)) return file;
  try {
    const fs::path shipped = find_scenario(named);
    if (is_there(shipped)) return shipped;
  } catch (const ConfigError& error) {
    throw ConfigError(place, error.what());
  }
  throw ConfigError(place, file.string() + ": no such file");
}

/// `chain` has the files that extend this one, the first of them last to be laid over.
ConfigDocument with_extended(ConfigDocument own, const fs::path& directory,
                             std::vector<std::string> chain) {
  anchor_trace(own, directory);
  hw::anchor_files(own, kPlatform, directory);
  open_policies(own);
  const std::string named = extended(own);
  if (named.empty()) {
    splice(own, directory);
    return own;
  }
  const SourceLocation place = own.location("/extends");
  own.erase("/extends");
  const fs::path file = file_extended(directory, named, place);
  chain.push_back(own.name());
  for (const std::string& other : chain) {
    std::error_code error;
    if (!fs::equivalent(other, file, error)) continue;
    throw ConfigError(place, fmt::format("goes round in a circle: {} extends {}",
                                         fmt::join(chain, " extends "), file.string()));
  }
  if (chain.size() >= kMostFiles) {
    throw ConfigError(place, fmt::format("is the {}th file that another one extends, allowed are "
                                         "{} in all",
                                         chain.size(), kMostFiles));
  }
  ConfigDocument document =
      with_extended(ConfigDocument::from_file(file), file.parent_path(), std::move(chain));
  document.overlay(own);
  splice(document, directory);  // what is still a path was given by `own`
  return document;
}

/// A path on the command line is meant from the working directory, as typed, else from where the
/// scenario lies.
fs::path base_of(const std::string& path, const fs::path& directory) {
  return !is_there(path) && is_there(directory / path) ? directory : fs::path();
}

constexpr const char* kRate = "/workload/arrivals/rate";  // of drawn arrivals it is not the trace's
constexpr const char* kOfTheTrace[] = {
    "/workload/format",     "/workload/block_size", "/workload/start",
    "/workload/end",        "/workload/max_bytes",  "/workload/max_requests",
    "/workload/time_scale", "/workload/resample",   "/workload/spread_timestamps",
    "/workload/population", "/workload/sessions",   kRate};

/// What a scenario says about its own trace does not hold for another one that the command line
/// puts in its place.
void retire_settings_of_the_trace(ConfigDocument& document, int layer) {
  const std::string kind = document.text_at("/workload/arrivals/kind");
  const bool drawn = !kind.empty() && kind != "trace";
  for (const char* pointer : kOfTheTrace) {
    if (drawn && pointer == kRate) continue;
    if (document.has(pointer) && document.layer(pointer) < layer) document.erase(pointer);
  }
}

/// A platform may be one that comes with the program, by its name.
void find_platform_set(ConfigDocument& document, const fs::path& directory) {
  const std::string named = document.text_at(kPlatform);
  const bool there = named.empty() || is_there(named) || is_there(directory / named);
  if (!there) {
    document.replace_text(kPlatform, document.open_named(kPlatform, find_platform).string());
  }
  include_platform(document, base_of(document.text_at(kPlatform), directory));
}

void apply(ConfigDocument& document, const std::vector<Setting>& settings,
           const fs::path& directory) {
  document.begin_layer();
  const int layer = document.layer_begun();
  for (const Setting& setting : settings) {
    document.apply_set(setting.assignment, setting.origin);
    open_policies(document);
    find_platform_set(document, directory);
    document.include_file(kModel, base_of(document.text_at(kModel), directory));
  }
  for (const char* pointer : kTrace) {
    const std::string path = document.text_at(pointer);
    if (path.empty() || document.layer(pointer) != layer) continue;
    retire_settings_of_the_trace(document, layer);
    const fs::path base = base_of(path, directory);
    if (!base.empty()) document.replace_text(pointer, beside(base, path).string());
  }
}

}  // namespace

ConfigDocument base_document(ConfigDocument own, const fs::path& directory) {
  return with_extended(std::move(own), directory, {});
}

std::vector<std::string> retired_by_trace(const ConfigDocument& base,
                                          const ConfigDocument& document) {
  std::vector<std::string> retired;
  if (!document.has(kTrace[0]) || document.layer(kTrace[0]) <= base.layer_begun()) return retired;
  for (const char* pointer : kOfTheTrace) {
    if (base.has(pointer) && !document.has(pointer)) retired.emplace_back(pointer);
  }
  return retired;
}

Resolved with_settings(ConfigDocument base, const fs::path& directory,
                       const std::vector<Setting>& settings) {
  if (!settings.empty()) apply(base, settings, directory);
  find_device(base, kPlatform, directory);
  std::string device = fs::path(base.text_at(std::string(kPlatform) + "/device")).stem().string();
  hw::include_files(base, kPlatform);
  return {std::move(base), std::move(device)};
}

}  // namespace cmsim::run
