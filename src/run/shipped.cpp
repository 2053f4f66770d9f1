#include "cmsim/run/shipped.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "cmsim/base/error.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

const fs::path kScenarios = fs::path("workloads") / "scenarios";

std::vector<std::string> shipped_names() {
  std::set<std::string> names;
  std::error_code error;
  for (const fs::path& place : shipped_places(kScenarios)) {
    for (const auto& entry : fs::directory_iterator(place, error)) {
      if (entry.path().extension() == ".json") names.insert(entry.path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace

std::vector<fs::path> shipped_places(const fs::path& inside) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  return {inside, program / ".." / "share" / "cmsim" / inside, program / ".." / ".." / inside};
}

fs::path find_scenario(const std::string& named) {
  std::error_code error;
  const fs::path file = named;
  const fs::file_type type = fs::status(file, error).type();
  const bool there = type != fs::file_type::not_found && type != fs::file_type::directory;
  const bool bare = file.filename() == file && !file.has_extension();
  if (there || !bare || named.empty()) return file;  // opening it says what is wrong
  for (const fs::path& place : shipped_places(kScenarios / (named + ".json"))) {
    if (fs::exists(place, error)) return place.lexically_normal();
  }
  if (type == fs::file_type::directory) return file;
  const std::vector<std::string> names = shipped_names();
  const std::string close_one = closest_match(named, names);
  throw ConfigError(
      {.file = named, .line = 0, .pointer = ""},
      fmt::format("no such file, and no scenario of that name comes with cmsim ({}){}",
                  fmt::join(names, ", "),
                  close_one.empty() ? "" : "; did you mean " + close_one + "?"));
}

}  // namespace cmsim::run
