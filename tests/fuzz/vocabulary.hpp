// What a fuzzer knows of a format: places (JSON pointers) with values on and beside the edges of
// what is allowed there, keys, and whole examples.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace cmsim::fuzz {

using nlohmann::json;

class Vocabulary {
 public:
  struct Place {
    std::string pointer;
    std::vector<json> values;
  };

  /// Every place below `schema` (JSON Schema draft 7; `root` resolves its references).
  void add_schema(const json& schema, const json& root, const std::string& pointer = "") {
    if (schema.contains("$ref")) {
      const std::string reference = schema.at("$ref").get<std::string>().substr(1);
      add_schema(root.at(json::json_pointer(reference)), root, pointer);
    }
    for (const char* choice : {"anyOf", "oneOf"}) {
      for (const json& one : schema.value(choice, json::array())) add_schema(one, root, pointer);
    }
    if (schema.contains("items")) add_schema(schema["items"], root, pointer + "/0");
    if (!schema.contains("properties") || schema["properties"].contains("value")) {
      add_leaf(schema, pointer);
      return;
    }
    for (const auto& [key, child] : schema["properties"].items()) {
      keys_.push_back(key);
      add_schema(child, root, pointer + "/" + key);
    }
  }

  /// A document to start from and to take parts of.
  void add_example(const json& document) {
    examples_.push_back(document);
    const json flat = document.flatten();
    for (const auto& [pointer, value] : flat.items()) {
      values_at(pointer).push_back(value);
      const std::string key = json::json_pointer(pointer).back();
      if (std::find(keys_.begin(), keys_.end(), key) == keys_.end()) keys_.push_back(key);
    }
  }

  const std::vector<Place>& places() const { return places_; }
  const std::vector<std::string>& keys() const { return keys_; }
  const std::vector<json>& examples() const { return examples_; }

 private:
  std::vector<json>& values_at(const std::string& pointer) {
    const auto [found, fresh] = index_.emplace(pointer, places_.size());
    if (fresh) places_.push_back({pointer, {}});
    return places_[found->second].values;
  }

  void add_leaf(const json& schema, const std::string& pointer) {
    std::vector<json>& values = values_at(pointer);
    for (const json& one : schema.value("enum", json::array())) values.push_back(one);
    const std::string type = schema.value("type", "");
    if (type == "boolean") values.insert(values.end(), {true, false});
    for (const char* edge : {"minimum", "maximum"}) {
      if (!schema.contains(edge)) continue;
      const json& limit = schema[edge];
      values.push_back(limit);
      if (limit.is_number_integer()) {
        for (const int beside : {-1, 1}) values.push_back(limit.get<std::int64_t>() + beside);
      } else {
        for (const double beside : {0.999, 1.001}) values.push_back(limit.get<double>() * beside);
      }
    }
    if (type == "integer") values.insert(values.end(), {1, 2, 3, 4, 6, 8, 12, 32});
    if (type == "number") values.insert(values.end(), {0.25, 0.7, 1.5});
    add_quantities(schema.value("pattern", ""), values);
  }

  /// A pattern that ends in a group of units, "(ns|us|s)", gives quantities of them.
  static void add_quantities(const std::string& pattern, std::vector<json>& values) {
    const std::size_t open = pattern.rfind('('), close = pattern.rfind(')');
    if (open == std::string::npos || pattern.find('|', open) == std::string::npos) return;
    std::string units = pattern.substr(open + 1, close - open - 1) + "|";
    for (std::size_t at = 0; at < units.size(); at = units.find('|', at) + 1) {
      const std::string unit = units.substr(at, units.find('|', at) - at);
      for (const char* number : {"0", "1", "50", "1e6", "1e18"}) values.push_back(number + unit);
    }
  }

  std::vector<Place> places_;
  std::map<std::string, std::size_t> index_;
  std::vector<std::string> keys_;
  std::vector<json> examples_;
};

}  // namespace cmsim::fuzz
