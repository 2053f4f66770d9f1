#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cmsim/base/config.hpp"
#include "cmsim/base/input_file.hpp"
#include "cmsim/base/utf8.hpp"
#include "config_pointer.hpp"

namespace cmsim {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;  // nesting a configuration may have; keeps recursion bounded
constexpr std::size_t kMostBytes = 16'000'000;  // of a configuration file

int line_at(std::string_view text, std::size_t offset) {
  offset = std::min(offset, text.size());
  return 1 +
         static_cast<int>(std::count(text.begin(), text.begin() + static_cast<long>(offset), '\n'));
}

/// Bounds the nesting before nlohmann recurses over it (its destructor is iterative, its dump is
/// not).
class DepthGuard {
 public:
  bool operator()(int depth, json::parse_event_t, json&) {
    deepest_ = std::max(deepest_, depth);
    return true;
  }
  int deepest_ = 0;
};

}  // namespace

/// Walks text that nlohmann has already accepted and notes the line of every value.
class ConfigDocument::LineScanner {
 public:
  LineScanner(std::string_view text, const std::string& file,
              std::map<std::string, Origin>& origins)
      : text_(text), file_(file), origins_(origins) {}

  void scan() { value("", 0); }

 private:
  void skip() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') ++line_;
      if (std::isspace(static_cast<unsigned char>(c))) {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (text_.substr(at_, 2) == "/*") {
        const std::size_t end = text_.find("*/", at_ + 2);
        const std::size_t stop = end == std::string_view::npos ? text_.size() : end + 2;
        line_ += static_cast<int>(std::count(text_.begin() + static_cast<long>(at_),
                                             text_.begin() + static_cast<long>(stop), '\n'));
        at_ = stop;
      } else if (text_.substr(at_, 3) == "\xEF\xBB\xBF") {
        at_ += 3;
      } else {
        return;
      }
    }
  }

  std::string string_token() {  // at_ is on the opening quote
    const std::size_t begin = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    ++at_;
    const std::string_view token = text_.substr(begin, at_ - begin);
    if (token.find('\\') != std::string_view::npos) return json::parse(token).get<std::string>();
    return std::string(token.substr(1, token.size() - 2));
  }

  void value(const std::string& pointer, int depth) {
    skip();
    origins_[pointer] = {{file_, line_, pointer}, 0};
    if (depth > kDeepest) {
      throw ConfigError({file_, line_, ""}, fmt::format("nested deeper than {} levels", kDeepest));
    }
    if (at_ >= text_.size()) return;
    if (text_[at_] == '{') {
      object(pointer, depth);
    } else if (text_[at_] == '[') {
      array(pointer, depth);
    } else if (text_[at_] == '"') {
      string_token();
    } else {
      while (at_ < text_.size() &&
             std::string_view(",]}/ \t\r\n").find(text_[at_]) == std::string_view::npos) {
        ++at_;
      }
    }
  }

  void object(const std::string& pointer, int depth) {
    std::set<std::string> seen;
    for (++at_, skip(); at_ < text_.size() && text_[at_] != '}'; skip()) {
      const int key_line = line_;
      const std::string key = string_token();
      if (!seen.insert(key).second) {
        throw ConfigError({file_, key_line, pointer},
                          fmt::format("key \"{}\" is written twice", key));
      }
      skip();
      ++at_;  // ':'
      value(below(pointer, key), depth + 1);
      skip();
      if (at_ < text_.size() && text_[at_] == ',') ++at_;
    }
    ++at_;
  }

  void array(const std::string& pointer, int depth) {
    int index = 0;
    for (++at_, skip(); at_ < text_.size() && text_[at_] != ']'; skip()) {
      value(pointer + "/" + std::to_string(index++), depth + 1);
      skip();
      if (at_ < text_.size() && text_[at_] == ',') ++at_;
    }
    ++at_;
  }

  std::string_view text_;
  const std::string& file_;
  std::map<std::string, Origin>& origins_;
  std::size_t at_ = 0;
  int line_ = 1;
};

ConfigDocument ConfigDocument::from_text(std::string_view text, const std::string& name) {
  ConfigDocument document;
  document.name_ = name;
  DepthGuard guard;
  try {
    document.value_ = json::parse(text, std::ref(guard), true, true);
  } catch (const json::parse_error& error) {
    std::string what = error.what();  // "[json.exception...] parse error at line l, column c: ..."
    if (const auto colon = what.find("syntax error"); colon != std::string::npos) {
      what = what.substr(colon);
    }
    throw ConfigError({name, line_at(text, error.byte == 0 ? 0 : error.byte - 1), ""},
                      "not valid JSON: " + what);
  } catch (const json::out_of_range& error) {
    throw ConfigError({name, 0, ""}, fmt::format("a number is out of range: {}", error.what()));
  }
  if (guard.deepest_ > kDeepest) {
    throw ConfigError({name, 0, ""}, fmt::format("nested deeper than {} levels", kDeepest));
  }
  document.origins_[""] = {{name, 0, ""}, 0};
  LineScanner(text, document.name_, document.origins_).scan();
  return document;
}

ConfigDocument ConfigDocument::from_value(json value, const std::string& name,
                                          const std::map<std::string, int>& lines) {
  ConfigDocument document;
  document.name_ = name;
  document.value_ = std::move(value);
  for (const auto& [pointer, line] : lines) {
    document.origins_[pointer] = {{name, line, pointer}, 0};
  }
  return document;
}

ConfigDocument ConfigDocument::from_file(const std::filesystem::path& path) {
  return from_file_as(path, path.string());
}

ConfigDocument ConfigDocument::from_file_as(const std::filesystem::path& path,
                                            const std::string& name) {
  return from_text(read_whole(path, kMostBytes), name);
}

void ConfigDocument::include_file(const std::string& pointer,
                                  const std::filesystem::path& directory) {
  const json::json_pointer where(pointer);
  if (!value_.contains(where) || !value_.at(where).is_string()) return;
  const auto named = value_.at(where).get<std::string>();
  if (named.empty()) throw ConfigError(location(pointer), "is empty, expected a path or an object");
  ConfigDocument included =
      open_named(pointer, [&](const std::string& file) { return from_file(directory / file); });
  const int layer = this->layer(pointer);
  value_[where] = included.value_;
  for (auto& [inner, origin] : included.origins_) {
    origin.place.pointer = pointer + inner;
    origins_[pointer + inner] = {origin.place, layer};
  }
}

void ConfigDocument::apply_set(const std::string& assignment, const std::string& given_by) {
  require_utf8(assignment);
  const SourceLocation origin{given_by, 0, ""};
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || assignment.empty() || assignment[0] != '/') {
    throw ConfigError(origin, "expected /pointer=value, e.g. /seed=2 or /slo/tpot=15ms");
  }
  const std::string pointer = assignment.substr(0, equals);
  const std::string text = assignment.substr(equals + 1);
  // What is JSON is held to the rules of a file (no key twice, no deep nesting); else it is a text.
  json value = text;
  if (json::accept(text)) value = from_text(text, origin.file).value_;
  try {
    // Walk by hand: a scalar on the way is an error, a missing object is made.
    json* node = &value_;
    std::string walked;
    std::vector<std::string> made;
    const json::json_pointer path(pointer);
    std::vector<std::string> parts;
    for (json::json_pointer p = path; !p.empty(); p.pop_back()) parts.push_back(p.back());
    std::reverse(parts.begin(), parts.end());
    if (parts.size() > kDeepest) {
      throw ConfigError(origin, fmt::format("nested deeper than {} levels", kDeepest));
    }
    for (const std::string& part : parts) {
      if (node->is_null()) *node = json::object();
      if (node->is_object()) {
        if (value.is_null() && &part == &parts.back()) {
          if (node->erase(part) == 0) throw ConfigError(origin, kNothingToTake);
          forget(pointer);
          origins_[pointer] = {{origin.file, 0, pointer}, layer_};
          return;
        }
        if (!node->contains(part)) made.push_back(below(walked, part));
        node = &(*node)[part];
      } else if (node->is_array()) {
        node = &node->at(json::json_pointer("/" + part));
      } else {
        throw ConfigError(origin, fmt::format("{} is {}, not an object",
                                              walked.empty() ? "/" : walked, node->dump()));
      }
      walked = below(walked, part);
    }
    *node = std::move(value);
    // The range of a parameter was that of the value it had.
    if (parts.back() == "value") erase(path.parent_pointer().to_string() + "/range");
    for (const std::string& at : made) origins_[at] = {{origin.file, 0, at}, layer_};
  } catch (const json::exception& error) {
    throw ConfigError(origin, fmt::format("not a place in the document: {}", error.what()));
  }
  forget(pointer);
  origins_[pointer] = {{origin.file, 0, pointer}, layer_};
}

}  // namespace cmsim
