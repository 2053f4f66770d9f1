#include "cmsim/run/shipped.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "cmsim/base/error.hpp"
#include "cmsim/hw/platform_files.hpp"
#include "cmsim/run/file_kind.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

fs::path scenarios() { return fs::path("workloads") / "scenarios"; }

std::vector<std::string> shipped_names(const fs::path& inside) {
  std::set<std::string> names;
  std::error_code error;
  for (const fs::path& place : shipped_places(inside)) {
    for (const auto& entry : fs::directory_iterator(place, error)) {
      if (entry.path().extension() == ".json") names.insert(entry.path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

/// `kind` is what such a file is called.
fs::path find_shipped(const std::string& named, const fs::path& inside, const char* kind) {
  std::error_code error;
  const fs::path file = named;
  const fs::file_type type = fs::status(file, error).type();
  const bool there = type != fs::file_type::not_found && type != fs::file_type::directory;
  const bool bare = file.filename() == file && !file.has_extension();
  if (there || !bare || named.empty()) return file;  // opening it says what is wrong
  for (const fs::path& place : shipped_places(inside / (named + ".json"))) {
    if (fs::exists(place, error)) return place.lexically_normal();
  }
  if (type == fs::file_type::directory) return file;
  const std::vector<std::string> names = shipped_names(inside);
  const std::string close_one = closest_match(named, names);
  throw ConfigError({.file = named, .line = 0, .pointer = ""},
                    fmt::format("no such file, and no {} of that name comes with cmsim ({}){}",
                                kind, fmt::join(names, ", "),
                                close_one.empty() ? "" : "; did you mean " + close_one + "?"));
}

}  // namespace

std::vector<fs::path> shipped_places(const fs::path& inside) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  return {inside, program / ".." / "share" / "cmsim" / inside, program / ".." / ".." / inside};
}

std::vector<std::string> shipped_scenarios() { return shipped_names(scenarios()); }
std::vector<std::string> shipped_platforms() { return shipped_names("platforms"); }

fs::path find_scenario(const std::string& named) {
  return find_shipped(named, scenarios(), "scenario");
}

fs::path find_platform(const std::string& named) {
  return find_shipped(named, "platforms", "platform");
}

void find_device(ConfigDocument& document, const std::string& platform, const fs::path& directory) {
  const std::string pointer = platform + "/device", named = document.text_at(pointer);
  std::error_code error;
  if (named.empty() || fs::exists(named, error)) return;
  const bool beside = fs::exists(directory / named, error);
  const auto shipped = [](const std::string& name) {
    return find_shipped(name, fs::path("platforms") / "devices", "device");
  };
  const fs::path file = beside ? directory / named : document.open_named(pointer, shipped);
  document.replace_text(pointer, file.string());
}

ConfigDocument platform_document(const std::string& named, const std::vector<std::string>& sets) {
  const fs::path file = find_platform(named);
  expect_kind(file, FileKind::kPlatform);
  ConfigDocument document = ConfigDocument::from_file(file);
  hw::anchor_files(document, "", file.parent_path());
  document.begin_layer();
  for (const std::string& set : sets) document.apply_set(set);
  find_device(document, "", file.parent_path());
  hw::include_files(document, "");
  hw::retire_keys_beside_builders(document, "");
  return document;
}

}  // namespace cmsim::run
