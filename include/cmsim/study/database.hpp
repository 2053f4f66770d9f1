// A study as its database tells it, wherever that lies: to be read without the files it was made
// from. What to_database() of tables.hpp writes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cmsim::study {

inline constexpr const char* kDatabase = "study.sqlite";

struct RecordedPoint {
  std::int64_t number = 0, cell = 0;
  std::optional<std::int64_t> seed;
  std::string state, error, command;                        // state: done | failed | missing
  std::string result;                                       // JSON; "" unless done
  std::vector<std::pair<std::string, std::string>> params;  // axis and its value, by name
};

struct RecordedStudy {
  std::string version, command, scenario;
  std::vector<std::string> metrics;   // by name
  std::vector<RecordedPoint> points;  // by number
};

/// Throws ConfigError when the file is no database of a study, or holds no point.
RecordedStudy read_database(const std::filesystem::path& file);

}  // namespace cmsim::study
