// The words for failure. ConfigError: the user's input is wrong (exit code 2), thrown only while
// loading. SimulationError: a loaded simulation could not go on, and OutputError: what it found
// could not be delivered (both exit code 3). Anything else is a bug (70).
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

namespace cmsim {

/// Where in the user's input something is: any part may be empty or 0 when it does not apply.
struct SourceLocation {
  std::string file;     // path as the user gave it, or "--set /x=1"
  int line = 0;         // 1-based; 0 = unknown
  std::string pointer;  // JSON pointer, "" = whole document
};

class ConfigError : public std::runtime_error {
 public:
  /// The message is one line: "file:line: /pointer: message".
  ConfigError(SourceLocation where, const std::string& message);
  explicit ConfigError(const std::string& message);
  const SourceLocation& where() const { return where_; }

 private:
  SourceLocation where_;
};

class SimulationError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Whoever started it has ended it early.
class Interrupted : public SimulationError {
 public:
  using SimulationError::SimulationError;
};

/// A result is there, but could not be written where it belongs (disk full, closed pipe, ...).
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The candidate closest to `word` by edit distance, of equally close ones the one that is most
/// like it at its ends, or "" when none is close; for "did you mean".
std::string closest_match(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace cmsim
