// Reading JSON-with-comments configuration with messages a user can act on.
//
// A ConfigDocument keeps the parsed value and, for every JSON pointer in it, the file and line it
// came from. A ConfigNode is a cursor: typed getters check presence, type, unit and range, and
// record which keys were read; close() rejects keys nobody read ("did you mean ...").
//
// A parameter may be written plain (`"28GB/s"`) or with its origin
// (`{"value": "28GB/s", "source": "P §3.3.1", "note": "..."}`); getters accept both.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/base/units.hpp"

namespace cmsim {

class ConfigDocument {
 public:
  /// Parses a file. Throws ConfigError (missing file, syntax error with line, duplicate key).
  static ConfigDocument from_file(const std::filesystem::path& path);
  /// Parses text; `name` stands for the file in messages.
  static ConfigDocument from_text(std::string_view text, const std::string& name);

  const nlohmann::json& value() const { return value_; }
  const std::string& name() const { return name_; }

  /// Replaces the string at `pointer` (a path relative to this document's directory) by the content
  /// of that file, keeping the lines of the included file for messages. No-op when not a string.
  void include_file(const std::string& pointer);

  /// Applies "--set /pointer=value": value is JSON when it parses as JSON, else a string. Missing
  /// objects on the way are created (an unknown key is then reported by close()).
  /// Throws ConfigError on a malformed assignment.
  void apply_set(const std::string& assignment);

  SourceLocation location(const std::string& pointer) const;

 private:
  std::string name_;
  std::filesystem::path directory_;
  nlohmann::json value_;
  std::map<std::string, SourceLocation> locations_;
};

class ConfigNode {
 public:
  explicit ConfigNode(const ConfigDocument& document, std::string pointer = "");

  bool has(std::string_view key) const;
  ConfigNode child(std::string_view key) const;  // required object (or {} when absent is an error)
  ConfigNode child_or_empty(std::string_view key) const;         // absent object reads as {}
  std::vector<ConfigNode> elements(std::string_view key) const;  // array of anything
  std::vector<std::string> keys() const;

  // Required values. `minimum`/`maximum` are inclusive and in base units.
  double number(std::string_view key, double minimum = -1e300, double maximum = 1e300) const;
  std::int64_t integer(std::string_view key, std::int64_t minimum = INT64_MIN,
                       std::int64_t maximum = INT64_MAX) const;
  bool boolean(std::string_view key) const;
  std::string text(std::string_view key) const;
  std::string choice(std::string_view key, const std::vector<std::string>& allowed) const;
  double quantity(std::string_view key, Dimension dimension, double minimum = 0,
                  double maximum = 1e300) const;

  // The same with a default for an absent key.
  double number_or(std::string_view key, double otherwise, double minimum = -1e300,
                   double maximum = 1e300) const;
  std::int64_t integer_or(std::string_view key, std::int64_t otherwise,
                          std::int64_t minimum = INT64_MIN, std::int64_t maximum = INT64_MAX) const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  std::string text_or(std::string_view key, const std::string& otherwise) const;
  std::string choice_or(std::string_view key, const std::string& otherwise,
                        const std::vector<std::string>& allowed) const;
  double quantity_or(std::string_view key, Dimension dimension, double otherwise,
                     double minimum = 0, double maximum = 1e300) const;

  /// The raw value of this node.
  const nlohmann::json& raw() const;
  const std::string& pointer() const { return pointer_; }
  SourceLocation where(std::string_view key = "") const;

  /// Marks a key as known without reading it (e.g. "comment").
  void ignore(std::string_view key) const;
  /// Throws ConfigError when the object has a key that no getter asked for.
  void close() const;

  [[noreturn]] void fail(const std::string& message) const;
  [[noreturn]] void fail(std::string_view key, const std::string& message) const;

 private:
  const nlohmann::json* find(std::string_view key) const;  // unwraps {"value": ...}
  const nlohmann::json& require(std::string_view key) const;

  const ConfigDocument* document_;
  std::string pointer_;
  const nlohmann::json* value_;  // null for an absent object
  std::shared_ptr<std::set<std::string, std::less<>>> known_;
};

}  // namespace cmsim
