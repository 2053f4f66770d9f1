// The numbers of one result that a comparison looks at: metrics, and what explains them.
//
// Read from the JSON that `cmsim run, step, collective, p2p --json` print. What explains comes in
// groups of named parts, e.g. "decode critical path, us": {MLP: 12728, ...}; a group of a role
// begins with its name. Parts keep the order of the result. Values are in the unit that ends the
// group's name.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cmsim/check/kind.hpp"

namespace cmsim::check {

/// Both ends included; the 95 % interval of a mean over seeds.
struct Interval {
  double lower = 0, upper = 0;
};

struct PartGroup {
  std::string name;
  std::vector<std::pair<std::string, double>> parts;
};

inline constexpr std::string_view kPlan = " plan";  // ends the name of a setting
inline constexpr std::string_view kCriticalPath = " critical path, us";
inline constexpr std::string_view kAlone = " operators alone, us";       // with all of HBM
inline constexpr std::string_view kInPlace = " operators in place, us";  // beside other streams
inline constexpr std::string_view kPhases = "phases, ms";
inline constexpr std::string_view kLinks = "links, busy share";
inline constexpr std::string_view kQueues = "queues, requests";
inline constexpr std::string_view kTransfers = "transfers, ms";
inline constexpr std::string_view kLoad = "load of the roles";
inline constexpr std::string_view kParts = "parts, us";

/// Whether its parts add up to what the group is about: the step, the latency.
bool adds_up(std::string_view group);

struct Figures {
  Kind kind = Kind::kRun;
  std::vector<std::pair<std::string, std::string>> settings;  // what was run, and by what
  std::map<std::string, nlohmann::json> metrics;              // by name; absent = not in the result
  std::map<std::string, Interval> intervals;                  // of means over seeds
  std::vector<PartGroup> groups;
};

/// The kind of a result; ConfigError, which calls it `name`, when it is none of cmsim's.
Kind kind_of(const nlohmann::json& result, const std::string& name);

Figures figures_of(const nlohmann::json& result, Kind kind, std::span<const Metric> metrics);

/// The result in a file, or in a directory that holds a result.json. Throws ConfigError.
nlohmann::json load_result(const std::filesystem::path& place);

/// 12 significant digits, in which results of two machines agree; what they leave is equal.
bool same(const nlohmann::json& a, const nlohmann::json& b);

}  // namespace cmsim::check
