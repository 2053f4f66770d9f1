// Reading JSON-with-comments configuration with messages a user can act on.
//
// A ConfigDocument keeps the parsed value and, for every JSON pointer in it, the file and line it
// came from. A ConfigNode is a cursor: typed getters check presence, type, unit and range, and
// record which keys were read; close() rejects keys nobody read ("did you mean ...").
//
// A document is made of layers: a file, the file that extends it, then what the command line sets.
// It knows for every pointer which layer had the last word there (docs/scenarios.md).
//
// A parameter may be written plain (`"28GB/s"`) or with its origin
// (`{"value": "28GB/s", "source": "P §3.3.1", "note": "..."}`); getters accept both. One that is
// taken over from something else for want of a figure of its own says `"borrowed": true`. A number
// or quantity may say between what it lies, `"range": ["20GB/s", "30GB/s"]`: low <= value <= high,
// and both ends are checked as the value is.
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
  /// Under another name in messages.
  static ConfigDocument from_file_as(const std::filesystem::path& path, const std::string& name);
  /// Parses text; `name` stands for the file in messages.
  static ConfigDocument from_text(std::string_view text, const std::string& name);
  /// What was read from something else than JSON; `lines` by pointer, has "".
  static ConfigDocument from_value(nlohmann::json value, const std::string& name,
                                   const std::map<std::string, int>& lines);

  const nlohmann::json& value() const { return value_; }
  const std::string& name() const { return name_; }

  /// Replaces the string at `pointer` (a path relative to `directory`) by the content of that file,
  /// keeping the lines of the included file for messages. No-op when not a string.
  void include_file(const std::string& pointer, const std::filesystem::path& directory);

  /// Applies "--set /pointer=value": value is JSON when it parses as JSON, else a string; null
  /// takes the key away. Missing objects on the way are created (an unknown key is then reported by
  /// close()). `origin` stands for the file in messages. Throws ConfigError on a malformed
  /// assignment.
  void apply_set(const std::string& assignment, const std::string& origin);
  void apply_set(const std::string& assignment) { apply_set(assignment, "--set " + assignment); }

  /// Begins a layer above all that is there: what apply_set() and overlay() give is of it.
  void begin_layer() { ++layer_; }
  int layer_begun() const { return layer_; }
  /// Lays `upper` over this document, as a layer of its own, and takes over its name.
  /// Objects are merged key by key; anything else, a parameter with its origin too, replaces what
  /// is there; null takes a key away. Throws ConfigError when there is none to take away.
  void overlay(const ConfigDocument& upper);
  /// Lays `lower` under the object at `pointer`: what is not there yet is taken over, objects key
  /// by key, as of `layer`.
  void underlay(const std::string& pointer, const ConfigDocument& lower, int layer);
  /// The layer, from 0, that decided what is at `pointer`: it gave it or took it away, or what
  /// holds it.
  int layer(const std::string& pointer) const { return origin(pointer).layer; }

  bool has(const std::string& pointer) const;
  /// The text at `pointer`, or "" when there is something else or nothing.
  std::string text_at(const std::string& pointer) const;
  /// Puts another text in place of what is at `pointer`; where it came from stays.
  void replace_text(const std::string& pointer, const std::string& text);
  /// Takes out what is at `pointer`, and objects that it leaves empty, as if no layer had given it.
  void erase(const std::string& pointer);
  /// Pointers of the parameters at and below `pointer`: objects are opened, annotations are not.
  std::vector<std::string> parameters(const std::string& pointer) const;

  SourceLocation location(const std::string& pointer) const;
  /// What `open` makes of the file that is named at `pointer`; an error that has no line of that
  /// file is said where it is named.
  template <class Open>
  auto open_named(const std::string& pointer, const Open& open) const {
    try {
      return open(text_at(pointer));
    } catch (const ConfigError& error) {
      if (error.where().line > 0) throw;
      throw ConfigError(location(pointer), error.what());
    }
  }

 private:
  struct Origin {
    SourceLocation place;
    int layer = 0;
  };
  class LineScanner;

  const Origin& origin(const std::string& pointer) const;
  void forget(const std::string& pointer);  // the origins of what is at and below it
  void merge(nlohmann::json& into, const nlohmann::json& from, const std::string& pointer,
             const ConfigDocument& upper);
  void fill(nlohmann::json& into, const nlohmann::json& from, const std::string& pointer,
            const std::string& inner, const ConfigDocument& lower, int layer);

  std::string name_;
  nlohmann::json value_;
  int layer_ = 0;
  std::map<std::string, Origin> origins_;  // has "" always
};

class ConfigNode {
 public:
  explicit ConfigNode(const ConfigDocument& document, std::string pointer = "");

  bool has(std::string_view key) const;
  ConfigNode child(std::string_view key) const;  // required object (or {} when absent is an error)
  ConfigNode child_or_empty(std::string_view key) const;         // absent object reads as {}
  std::vector<ConfigNode> elements(std::string_view key) const;  // array of anything
  std::vector<std::string> keys() const;
  /// Pointers of the parameters at and below this node that say that they are borrowed.
  std::vector<std::string> borrowed() const;

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
  void check_annotation(std::string_view key, const std::string& name,
                        const nlohmann::json& note) const;

  const ConfigDocument* document_;
  std::string pointer_;
  const nlohmann::json* value_;  // null for an absent object
  std::shared_ptr<std::set<std::string, std::less<>>> known_;
};

}  // namespace cmsim
