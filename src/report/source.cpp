#include "cmsim/report/source.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "cmsim/base/error.hpp"
#include "cmsim/base/input_file.hpp"
#include "cmsim/study/database.hpp"
#include "run_source.hpp"
#include "study_source.hpp"

namespace cmsim::report {
namespace {

namespace fs = std::filesystem;

bool is_database(const fs::path& file) {
  constexpr std::string_view kMagic = "SQLite format 3";
  InputFile input(file);
  std::array<char, kMagic.size()> front{};
  return input.read(front) == front.size() &&
         std::string_view(front.data(), front.size()) == kMagic;
}

}  // namespace

Source load_source(const fs::path& place, const FindMachine& find_machine) {
  const std::string name = place.string();
  std::error_code error;
  if (!fs::is_directory(place, error)) {
    return is_database(place) ? study_source(place, name) : run_source(place, name, find_machine);
  }
  if (fs::exists(place / study::kDatabase, error))
    return study_source(place / study::kDatabase, name);
  if (fs::exists(place / "result.json", error)) {
    return run_source(place / "result.json", name, find_machine);
  }
  if (fs::exists(place / "points", error)) {
    throw ConfigError({name, 0, ""},
                      "half a study: it has points and no study.sqlite; let the sweep end, or "
                      "`cmsim sweep ... --gather --out` this directory makes its tables");
  }
  throw ConfigError({name, 0, ""},
                    "neither the directory of a run (no result.json) nor of a study (no "
                    "study.sqlite)");
}

}  // namespace cmsim::report
