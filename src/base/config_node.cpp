#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "cmsim/base/config.hpp"
#include "config_pointer.hpp"

namespace cmsim {
namespace {

using nlohmann::json;

/// A parameter with its origin reads as its value.
const json& unwrap(const json& value) {
  if (value.is_object()) {
    if (const auto found = value.find("value"); found != value.end()) return *found;
  }
  return value;
}

bool is_annotated(const json& value) { return value.is_object() && value.contains("value"); }

std::string shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

std::string spelled(double value, Dimension dimension) {
  if (dimension == Dimension::kNumber) {
    return std::fabs(value) < 1e15 && value == std::floor(value) ? fmt::format("{:.0f}", value)
                                                                 : fmt::format("{:g}", value);
  }
  return format_quantity(value, dimension);
}

std::string range_text(double minimum, double maximum, Dimension dimension = Dimension::kNumber) {
  if (maximum >= 1e300 || maximum >= static_cast<double>(INT64_MAX)) {
    return fmt::format("at least {}", spelled(minimum, dimension));
  }
  if (minimum <= -1e300 || minimum <= static_cast<double>(INT64_MIN)) {
    return fmt::format("at most {}", spelled(maximum, dimension));
  }
  return fmt::format("{} to {}", spelled(minimum, dimension), spelled(maximum, dimension));
}

double number_in(const json& value, const SourceLocation& at, double minimum, double maximum) {
  double number = 0;
  if (value.is_number()) {
    number = value.get<double>();
  } else if (value.is_string()) {
    try {
      number = parse_quantity(value.get<std::string>(), Dimension::kNumber);
    } catch (const UnitError& error) {
      throw ConfigError(at, error.what());
    }
  } else {
    throw ConfigError(at, fmt::format("found {}, expected a number", shown(value)));
  }
  if (!(number >= minimum && number <= maximum)) {
    throw ConfigError(
        at, fmt::format("found {}, allowed is {}", shown(value), range_text(minimum, maximum)));
  }
  return number;
}

double quantity_in(const json& value, const SourceLocation& at, Dimension dimension, double minimum,
                   double maximum) {
  if (!value.is_string()) {
    throw ConfigError(at, fmt::format("found {}, expected a quantity with a unit, e.g. \"{}\"",
                                      shown(value), example_of(dimension)));
  }
  double number = 0;
  try {
    number = parse_quantity(value.get<std::string>(), dimension, minimum, maximum);
  } catch (const UnitError& error) {
    throw ConfigError(at, error.what());
  }
  if (!(number >= minimum && number <= maximum)) {
    throw ConfigError(at, fmt::format("found {}, allowed is {}", shown(value),
                                      range_text(minimum, maximum, dimension)));
  }
  return number;
}

/// The range beside the value at the pointer; null when there is none.
const json* range_of(const ConfigDocument& document, const std::string& pointer) {
  const json& holder = document.value().at(json::json_pointer(pointer));
  return is_annotated(holder) && holder.contains("range") ? &holder["range"] : nullptr;
}

/// `read` takes an end and its place, and checks it as it does the value.
template <class Read>
void check_range(const ConfigDocument& document, const std::string& pointer, double value,
                 const Read& read) {
  const json* range = range_of(document, pointer);
  if (range == nullptr) return;
  const std::string at = pointer + "/range";
  if (!range->is_array() || range->size() != 2) {
    throw ConfigError(document.location(at),
                      fmt::format("found {}, expected [low, high]", shown(*range)));
  }
  const double low = read(range->at(0), document.location(at + "/0"));
  const double high = read(range->at(1), document.location(at + "/1"));
  if (low <= value && value <= high) return;
  throw ConfigError(
      document.location(at),
      fmt::format("found {}, expected low <= value <= high with the value {}", shown(*range),
                  shown(document.value().at(json::json_pointer(pointer + "/value")))));
}

void refuse_range(const ConfigDocument& document, const std::string& pointer) {
  if (range_of(document, pointer) == nullptr) return;
  throw ConfigError(document.location(pointer + "/range"),
                    "has no meaning here, only a number or a quantity with a unit has a range, "
                    "not a count, a choice or a text");
}

}  // namespace

ConfigNode::ConfigNode(const ConfigDocument& document, std::string pointer)
    : document_(&document),
      pointer_(std::move(pointer)),
      value_(nullptr),
      known_(std::make_shared<std::set<std::string, std::less<>>>()) {
  const json::json_pointer where(pointer_);
  if (document.value().contains(where) || pointer_.empty()) value_ = &document.value().at(where);
}

SourceLocation ConfigNode::where(std::string_view key) const {
  return document_->location(key.empty() ? pointer_ : below(pointer_, key));
}

void ConfigNode::fail(const std::string& message) const { throw ConfigError(where(), message); }
void ConfigNode::fail(std::string_view key, const std::string& message) const {
  throw ConfigError(where(key), message);
}

const json& ConfigNode::raw() const {
  static const json kNothing;  // an absent node reads as null
  return value_ == nullptr ? kNothing : *value_;
}

void ConfigNode::check_annotation(std::string_view key, const std::string& name,
                                  const json& note) const {
  const auto refuse = [&](const std::string& message) {
    throw ConfigError(document_->location(below(below(pointer_, key), name)), message);
  };
  if (name == "value") return;
  if (name == "source" || name == "note") {
    if (!note.is_string()) refuse(fmt::format("found {}, expected a text", shown(note)));
  } else if (name == "borrowed") {
    if (!note.is_boolean()) refuse(fmt::format("found {}, expected true or false", shown(note)));
  } else if (name != "range") {  // what it may be depends on what the value is
    refuse("unknown key, allowed are value, range, source, note, borrowed");
  }
}

std::vector<std::string> ConfigNode::borrowed() const {
  std::vector<std::string> found;
  for (const std::string& pointer : document_->parameters(pointer_)) {
    const json& value = document_->value().at(json::json_pointer(pointer));
    if (value.is_object() && value.value("borrowed", json(false)) == json(true)) {
      found.push_back(pointer);
    }
  }
  return found;
}

const json* ConfigNode::find(std::string_view key) const {
  known_->insert(std::string(key));
  if (value_ == nullptr) return nullptr;
  if (!value_->is_object()) fail(fmt::format("found {}, expected an object", shown(*value_)));
  const auto found = value_->find(std::string(key));
  if (found == value_->end()) return nullptr;
  if (is_annotated(*found)) {
    for (const auto& [name, note] : found->items()) check_annotation(key, name, note);
  }
  return &unwrap(*found);
}

const json& ConfigNode::require(std::string_view key) const {
  const json* found = find(key);
  if (found == nullptr) fail(key, "missing, this key is required");
  return *found;
}

bool ConfigNode::has(std::string_view key) const { return find(key) != nullptr; }

void ConfigNode::ignore(std::string_view key) const { known_->insert(std::string(key)); }

ConfigNode ConfigNode::child_or_empty(std::string_view key) const {
  const json* found = find(key);
  ConfigNode node(*document_, below(pointer_, key));
  if (found != nullptr && !found->is_object()) {
    fail(key, fmt::format("found {}, expected an object", shown(*found)));
  }
  return node;
}

ConfigNode ConfigNode::child(std::string_view key) const {
  require(key);
  return child_or_empty(key);
}

std::vector<ConfigNode> ConfigNode::elements(std::string_view key) const {
  const json& array = require(key);
  if (!array.is_array()) fail(key, fmt::format("found {}, expected an array", shown(array)));
  std::vector<ConfigNode> nodes;
  for (std::size_t i = 0; i < array.size(); ++i) {
    nodes.emplace_back(*document_, below(below(pointer_, key), std::to_string(i)));
  }
  return nodes;
}

std::vector<std::string> ConfigNode::keys() const {
  std::vector<std::string> names;
  if (value_ == nullptr || !value_->is_object()) return names;
  for (const auto& [name, ignored] : value_->items()) names.push_back(name);
  return names;
}

double ConfigNode::number(std::string_view key, double minimum, double maximum) const {
  const auto read = [&](const json& value, const SourceLocation& at) {
    return number_in(value, at, minimum, maximum);
  };
  const double number = read(require(key), where(key));
  check_range(*document_, below(pointer_, key), number, read);
  return number;
}

std::int64_t ConfigNode::integer(std::string_view key, std::int64_t minimum,
                                 std::int64_t maximum) const {
  const json& value = require(key);
  refuse_range(*document_, below(pointer_, key));
  const bool whole = value.is_number_integer() ||
                     (value.is_number_float() && std::fabs(value.get<double>()) < 9e15 &&
                      value.get<double>() == std::floor(value.get<double>()));
  if (!whole) fail(key, fmt::format("found {}, expected a whole number", shown(value)));
  const bool too_large = value.is_number_unsigned() &&
                         value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  const auto number = too_large ? INT64_MAX : value.get<std::int64_t>();
  if (too_large || number < minimum || number > maximum) {
    fail(key, fmt::format("found {}, allowed is {}", shown(value),
                          range_text(static_cast<double>(minimum), static_cast<double>(maximum))));
  }
  return number;
}

bool ConfigNode::boolean(std::string_view key) const {
  const json& value = require(key);
  refuse_range(*document_, below(pointer_, key));
  if (!value.is_boolean()) {
    fail(key, fmt::format("found {}, expected true or false", shown(value)));
  }
  return value.get<bool>();
}

std::string ConfigNode::text(std::string_view key) const {
  const json& value = require(key);
  refuse_range(*document_, below(pointer_, key));
  if (!value.is_string()) fail(key, fmt::format("found {}, expected a text", shown(value)));
  return value.get<std::string>();
}

std::string ConfigNode::choice(std::string_view key,
                               const std::vector<std::string>& allowed) const {
  const std::string found = text(key);
  if (std::find(allowed.begin(), allowed.end(), found) == allowed.end()) {
    const std::string close_one = closest_match(found, allowed);
    fail(key,
         fmt::format("found \"{}\", allowed is one of {}{}", found, fmt::join(allowed, ", "),
                     close_one.empty() ? "" : fmt::format("; did you mean \"{}\"?", close_one)));
  }
  return found;
}

double ConfigNode::quantity(std::string_view key, Dimension dimension, double minimum,
                            double maximum) const {
  const auto read = [&](const json& value, const SourceLocation& at) {
    return quantity_in(value, at, dimension, minimum, maximum);
  };
  const double number = read(require(key), where(key));
  check_range(*document_, below(pointer_, key), number, read);
  return number;
}

double ConfigNode::number_or(std::string_view key, double otherwise, double minimum,
                             double maximum) const {
  return has(key) ? number(key, minimum, maximum) : otherwise;
}
std::int64_t ConfigNode::integer_or(std::string_view key, std::int64_t otherwise,
                                    std::int64_t minimum, std::int64_t maximum) const {
  return has(key) ? integer(key, minimum, maximum) : otherwise;
}
bool ConfigNode::boolean_or(std::string_view key, bool otherwise) const {
  return has(key) ? boolean(key) : otherwise;
}
std::string ConfigNode::text_or(std::string_view key, const std::string& otherwise) const {
  return has(key) ? text(key) : otherwise;
}
std::string ConfigNode::choice_or(std::string_view key, const std::string& otherwise,
                                  const std::vector<std::string>& allowed) const {
  return has(key) ? choice(key, allowed) : otherwise;
}
double ConfigNode::quantity_or(std::string_view key, Dimension dimension, double otherwise,
                               double minimum, double maximum) const {
  return has(key) ? quantity(key, dimension, minimum, maximum) : otherwise;
}

void ConfigNode::close() const {
  if (value_ == nullptr) return;
  if (!value_->is_object()) fail(fmt::format("found {}, expected an object", shown(*value_)));
  for (const auto& [name, ignored] : value_->items()) {
    if (known_->contains(name)) continue;
    const std::vector<std::string> allowed(known_->begin(), known_->end());
    const std::string close_one = closest_match(name, allowed);
    throw ConfigError(document_->location(below(pointer_, name)),
                      close_one.empty()
                          ? fmt::format("unknown key, allowed are {}", fmt::join(allowed, ", "))
                          : fmt::format("unknown key, did you mean \"{}\"?", close_one));
  }
}

}  // namespace cmsim
