// The engine that all commands of many runs share: options, plugins, the pool, the store, progress.
//
// A command makes a study, or points, and gives them to run(); what is already in the store is not
// run again. Times are wall-clock seconds.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/study/digest.hpp"
#include "cmsim/study/store.hpp"
#include "cmsim/study/tables.hpp"
#include "commands.hpp"
#include "policy_watch.hpp"
#include "terminal.hpp"

namespace cmsim::cli {

struct StudyOptions {
  int jobs = 1;
  double time_limit = 0;
  std::string memory_limit;
  int retries = 1;
  std::vector<std::string> plugins;
  double policy_timeout = kPolicyTimeout;
  bool quiet = false, resume = false;
  study::Missing missing = study::Missing::kRun;
  study::Shard shard;
};

/// As many as the machine has processors.
int default_jobs();
/// --jobs, --time-limit, --memory-limit, --retries and --resume.
void add_pool_options(CLI::App& sub, StudyOptions& options);

enum class Format { kText, kJson };

class StudyEngine {
 public:
  /// Loads the plugins into the registry, which must outlive the engine. Throws ConfigError.
  StudyEngine(StudyOptions options, serve::PolicyRegistry& registry);

  /// The points of a study with their addresses. Throws ConfigError when the study is none.
  std::vector<study::StudyPoint> points_of(const study::Study& study);
  /// The scenario or platform of the study with its sets. Throws ConfigError.
  ConfigDocument document(const study::Study& study);
  /// Loads what the points of the shard run, a cell once; throws a ConfigError that says how many
  /// cannot be.
  void check_loads(const std::vector<study::StudyPoint>& points);
  /// Why what the point runs cannot be loaded; "" when it can.
  std::string refusal_of(const study::Point& point);
  /// Throws ConfigError when the directory has points already and nobody said that they are meant.
  void check_fresh(const std::filesystem::path& directory) const;
  /// Fills in the addresses.
  void address(std::vector<study::StudyPoint>& points);

  /// Outcomes in the order of the points; those that are in the store are taken from there. The
  /// first that ends well shows whether the metrics of the study are there: ConfigError if not.
  std::vector<study::Outcome> run(const std::vector<study::StudyPoint>& points,
                                  const std::filesystem::path& directory);

  const StudyOptions& options() const { return options_; }
  study::ScenarioFiles& files() { return files_; }
  /// Writes DIR/points.csv, study.sqlite and costs.csv, then prints the summary as JSON or, unless
  /// all is to be quiet, the report; says what failed. Returns the exit code.
  int deliver(const study::Table& table, const std::filesystem::path& directory, Format format,
              const std::function<std::string(Paint)>& report) const;
  /// Throws Interrupted saying where the finished points are, when a signal has ended run().
  void check_interrupted(const std::filesystem::path& directory) const;

 private:
  /// Builds what points have in common, before they are forked.
  void prepare(const study::Point& point);
  std::string result_of(const study::Point& point);
  template <class Use>
  void read(const study::Point& point, const Use& use);
  void load(const study::Point& point);

  StudyOptions options_;
  serve::PolicyRegistry& registry_;
  study::ScenarioFiles files_;
  study::PointDigests digests_;
  std::string command_;                 // of the study
  std::vector<study::Metric> metrics_;  // of the study
};

/// kOk, or kSomeFailed when a point has failed or is missing.
int exit_code_of(const study::Table& table);

}  // namespace cmsim::cli
