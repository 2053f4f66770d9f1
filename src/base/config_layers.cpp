// The layers of a ConfigDocument: what lies over what, and who had the last word.
#include <algorithm>

#include "cmsim/base/config.hpp"
#include "config_pointer.hpp"

namespace cmsim {
namespace {

using nlohmann::json;

bool is_section(const json& value) { return value.is_object() && !value.contains("value"); }

void collect(const json& value, const std::string& pointer, std::vector<std::string>& found) {
  if (!is_section(value)) {
    found.push_back(pointer);
    return;
  }
  for (const auto& [key, child] : value.items()) collect(child, below(pointer, key), found);
}

}  // namespace

std::string below(const std::string& pointer, std::string_view key) {
  std::string text = pointer + "/";
  for (const char c : key) {
    if (c == '~' || c == '/') {
      text += c == '~' ? "~0" : "~1";
    } else {
      text += c;
    }
  }
  return text;
}

void ConfigDocument::overlay(const ConfigDocument& upper) {
  for (const ConfigDocument* document : {static_cast<const ConfigDocument*>(this), &upper}) {
    if (document->value_.is_object()) continue;
    throw ConfigError(document->location(""), "expected an object");
  }
  begin_layer();
  merge(value_, upper.value_, "", upper);
  name_ = upper.name_;
}

void ConfigDocument::merge(json& into, const json& from, const std::string& pointer,
                           const ConfigDocument& upper) {
  for (const auto& [key, value] : from.items()) {
    const std::string at = below(pointer, key);
    if (is_section(value) && into.contains(key) && is_section(into[key])) {
      merge(into[key], value, at, upper);
      continue;
    }
    forget(at);
    if (value.is_null()) {
      if (into.erase(key) == 0) throw ConfigError(upper.location(at), kNothingToTake);
      origins_[at] = {upper.location(at), layer_};
      continue;
    }
    into[key] = value;
    for (auto entry = upper.origins_.lower_bound(at);
         entry != upper.origins_.end() && entry->first.starts_with(at); ++entry) {
      if (is_within(entry->first, at)) origins_[entry->first] = {entry->second.place, layer_};
    }
  }
}

void ConfigDocument::underlay(const std::string& pointer, const ConfigDocument& lower, int layer) {
  if (!lower.value_.is_object()) throw ConfigError(lower.location(""), "expected an object");
  fill(value_[json::json_pointer(pointer)], lower.value_, pointer, "", lower, layer);
}

void ConfigDocument::fill(json& into, const json& from, const std::string& pointer,
                          const std::string& inner, const ConfigDocument& lower, int layer) {
  for (const auto& [key, value] : from.items()) {
    const std::string at = below(pointer, key), inside = below(inner, key);
    if (into.contains(key)) {
      if (is_section(value) && is_section(into[key])) {
        fill(into[key], value, at, inside, lower, layer);
      }
      continue;
    }
    into[key] = value;
    for (auto entry = lower.origins_.lower_bound(inside);
         entry != lower.origins_.end() && entry->first.starts_with(inside); ++entry) {
      if (!is_within(entry->first, inside)) continue;
      origins_[pointer + entry->first.substr(inner.size())] = {entry->second.place, layer};
    }
  }
}

void ConfigDocument::forget(const std::string& pointer) {
  for (auto entry = origins_.lower_bound(pointer);
       entry != origins_.end() && entry->first.starts_with(pointer);) {
    entry = is_within(entry->first, pointer) ? origins_.erase(entry) : std::next(entry);
  }
}

bool ConfigDocument::has(const std::string& pointer) const {
  return value_.contains(json::json_pointer(pointer));
}

std::string ConfigDocument::text_at(const std::string& pointer) const {
  const json::json_pointer place(pointer);
  const bool text = value_.contains(place) && value_.at(place).is_string();
  return text ? value_.at(place).get<std::string>() : std::string();
}

void ConfigDocument::replace_text(const std::string& pointer, const std::string& text) {
  value_.at(json::json_pointer(pointer)) = text;
}

void ConfigDocument::erase(const std::string& pointer) {
  const json::json_pointer place(pointer);
  if (!value_.contains(place) || pointer.empty()) return;
  json& holder = value_.at(place.parent_pointer());
  holder.erase(place.back());
  forget(pointer);
  if (holder.is_object() && holder.empty()) erase(place.parent_pointer().to_string());
}

std::vector<std::string> ConfigDocument::parameters(const std::string& pointer) const {
  std::vector<std::string> found;
  const json::json_pointer place(pointer);
  if (value_.contains(place)) collect(value_.at(place), pointer, found);
  return found;
}

const ConfigDocument::Origin& ConfigDocument::origin(const std::string& pointer) const {
  for (std::string at = pointer;; at = at.substr(0, at.rfind('/'))) {
    if (const auto found = origins_.find(at); found != origins_.end()) return found->second;
  }
}

// The nearest ancestor that is known: a missing key is reported at its object.
SourceLocation ConfigDocument::location(const std::string& pointer) const {
  SourceLocation place = origin(pointer).place;
  place.pointer = pointer;
  return place;
}

}  // namespace cmsim
