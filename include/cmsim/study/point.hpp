// One point of a study: a command line of cmsim as a value, and what came of running it.
//
// Whatever a point depends on is in it or in the files it names; it has no clock and no place to
// write to. Equal points give equal results.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/base/process_pool.hpp"

namespace cmsim::study {

struct Point {
  std::string command = "run";             // run | step | collective | p2p
  std::filesystem::path file;              // the scenario, or the platform of collective and p2p
  std::vector<std::string> sets;           // "/pointer=value", applied in order
  std::vector<std::string> options;        // further words, e.g. {"--phase", "decode"}
  std::optional<std::uint64_t> seed = {};  // the file's own when there is none
};

/// The arguments after "cmsim" that run the point alone.
std::vector<std::string> words_of(const Point& point);
/// The same as one line to be shown, with "cmsim".
std::string spelled(const Point& point);
/// A word as a shell takes it: in quotes unless it is letters, digits and what is plain in paths.
std::string shell_word(const std::string& word);
/// The words of a line made of such: what a shell makes of spaces, single quotes and backslashes.
std::vector<std::string> words_in(const std::string& line);
/// The sets with the seed of the point as the last.
std::vector<std::string> all_sets(const Point& point);

struct Outcome {
  Ending ending = Ending::kNotEnded;
  std::string result;  // JSON as `--json` prints it; empty unless done
  std::string error;   // one line; empty when done
  int attempts = 0;
  Seconds cpu = 0;  // what it took; differs from run to run
  Bytes peak_memory = 0;

  bool done() const { return ending == Ending::kDone; }
};

}  // namespace cmsim::study
