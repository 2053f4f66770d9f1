// Published figures beside ours: rows of a data file, each a cmsim command and a metric of its
// JSON.
//
// A row names what was published, where, and whether our constants were fitted on it (calibrated),
// taken from it (input) or have not seen it (predicted). Every command runs in a process of its
// own, so each figure is what the command prints. Errors are ours / published - 1.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/serve/policy.hpp"

namespace cmsim::cli {

using Command = std::vector<std::string>;  // arguments after "cmsim"
std::string spelled(const Command& command);

struct ValidationRow {
  std::string id, group, what;
  Command command;
  Command over;              // when given, the figure is command's over this one's
  std::string metric, unit;  // JSON pointer into the command's output
  double published = 0;
  std::string source, role;         // role: input | calibrated | predicted
  std::optional<double> tolerance;  // none: shown for information, the sources disagree
  double ours = 0;

  double error() const { return ours / published - 1; }
  bool holds() const { return !tolerance || (error() <= *tolerance && error() >= -*tolerance); }
};

struct Ablation {
  std::string id, what;
  Command command, baseline;
  std::string metric, unit, explanation;
  double ours = 0, without = 0;  // with everything on; with the mechanism off

  double change() const { return without / ours - 1; }
};

struct FreeParameter {
  std::string name, file, value, level, meaning, fitted_on;
  std::string pointer;  // into a scenario
};

struct Validation {
  std::filesystem::path root;  // commands run here
  std::vector<FreeParameter> parameters;
  std::vector<ValidationRow> rows;
  std::vector<Ablation> ablations;
};

/// Reads the data file; throws ConfigError. Its commands are relative to the directory two above
/// it.
Validation load_validation(const std::filesystem::path& file);

/// The data file shipped with the program: below the working directory, the source tree the binary
/// was built in, or the installed share directory. Throws ConfigError when there is none.
std::filesystem::path default_validation_file();

/// What each command prints, as JSON; nothing where it refuses a setting that has no effect on it.
using Results = std::map<Command, nlohmann::json>;
/// Runs every command once, `jobs` at a time, in the directory `root`. Throws ConfigError when one
/// is wrong, SimulationError when one fails.
Results run_commands(const std::set<Command>& commands, const std::filesystem::path& root,
                     const serve::PolicyRegistry& registry, int jobs);
/// A row's figure; none where its command, or the one it is taken over, printed nothing.
std::optional<double> figure_of(const Results& results, const ValidationRow& row);

/// Runs every command once, `jobs` at a time, and fills in our figures. Throws SimulationError when
/// one fails.
void run_validation(Validation& validation, const serve::PolicyRegistry& registry, int jobs);

/// "+1.2 %"
std::string signed_percent(double share);
/// A line for each row that leaves its tolerance; "" when all hold.
std::string validation_misses(const Validation& validation);
std::string validation_table(const Validation& validation);
std::string validation_markdown(const Validation& validation);
std::string validation_json(const Validation& validation);

}  // namespace cmsim::cli
