// Where the points of studies are kept: one folder a point, named by its digest.
//
// A folder has point.json (what was run, how it ended, what it cost) and, when it was done,
// result.json; point.json seals it (base/files.hpp), so that a folder without one is not finished
// and a kill at any moment loses nothing that is. Two writers may share a store: equal points have
// equal results. Everything else of a study (tables, the database) can be made again from here.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cmsim/study/point.hpp"
#include "cmsim/study/runner.hpp"
#include "cmsim/study/study.hpp"

namespace cmsim::study {

class Store {
 public:
  explicit Store(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// The folder of a point, which need not be there.
  std::filesystem::path folder(const std::string& digest) const;
  /// What is kept of a point that has ended; throws OutputError when it cannot be read.
  std::optional<Outcome> find(const std::string& digest) const;
  /// Throws OutputError.
  void put(const StudyPoint& point, const Outcome& outcome) const;

 private:
  std::filesystem::path directory_;
};

/// One of `of` parts of a study, from 1: the points whose number leaves this remainder.
struct Shard {
  std::size_t number = 1, of = 1;
};
/// "i/n". Throws ConfigError.
Shard parse_shard(const std::string& text);
bool in_shard(std::size_t number, const Shard& shard);

enum class Missing { kRun, kLeave };

struct ExecuteOptions {
  RunnerOptions runner;  // on_end gets numbers of the points given
  Shard shard;
  Missing missing = Missing::kRun;
  std::function<void(std::span<const std::size_t>)> on_start = {};  // told which there are to run
};

/// The outcomes of the points, in their order: those in the store, and the others run and put
/// there. Points that are equal are run once, those that failed again. What belongs to other
/// shards, was left or interrupted is Ending::kNotEnded.
std::vector<Outcome> execute(std::span<const StudyPoint> points, const Store& store,
                             const Work& work, const ExecuteOptions& options);

}  // namespace cmsim::study
