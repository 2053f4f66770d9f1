// Structure-aware mutation for libFuzzer: a JSON document is changed as a tree, a list of
// assignments ("/pointer=value", one a line) line by line, with the help of a Vocabulary.
//
// An input that is no JSON, and one in kByteShare of the others, is changed as bytes, so that the
// parsers stay covered. Deterministic in the input and the seed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "edges.hpp"
#include "vocabulary.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace cmsim::fuzz {

inline constexpr std::size_t kByteShare = 12;
inline constexpr int kDeepest = 80;  // deeper documents are only changed as bytes

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

/// Changes trees and assignments; one object a mutation.
class Mutator {
 public:
  Mutator(const Vocabulary& vocabulary, unsigned seed) : vocabulary_(vocabulary), random_(seed) {}

  Random& random() { return random_; }

  void change(json& document) {
    for (int count = 0; count == 0 || (count < 4 && random_.one_in(2)); ++count) {
      change_once(document);
    }
  }

  /// Takes a part of `other` over into `document`, half of the time to the place it had.
  void cross(json& document, const json& other) {
    json donor = other;
    const std::vector<Node> sources = nodes_of(donor), targets = nodes_of(document);
    const Node& source = random_.of(sources);
    if (random_.one_in(2)) {
      *random_.of(targets).value = *source.value;
    } else {
      put(document, source.pointer, *source.value);
    }
  }

  std::string changed_lines(const std::string& text) {
    std::vector<std::string> lines = lines_of(text);
    for (int count = 0; count == 0 || (count < 4 && random_.one_in(2)); ++count) {
      change_lines_once(lines);
    }
    return joined(lines);
  }

  /// A line of either, in order, each kept or not by chance.
  std::string crossed_lines(std::string_view one, std::string_view other) {
    std::vector<std::string> lines = lines_of(one);
    for (std::string& line : lines_of(other)) lines.push_back(std::move(line));
    std::erase_if(lines, [&](const std::string&) { return random_.one_in(2); });
    return joined(lines);
  }

 private:
  struct Node {
    json* value;
    json* parent;       // null at the root
    std::string key;    // in an object
    std::size_t index;  // in an array
    std::string pointer;
    std::size_t end;  // past the last node below, in the list
  };

  static void collect(json& value, Node node, std::vector<Node>& nodes) {
    const std::size_t at = nodes.size();
    const std::string pointer = node.pointer;
    nodes.push_back(std::move(node));
    if (value.is_object()) {
      for (auto member = value.begin(); member != value.end(); ++member) {
        const std::string below = (json::json_pointer(pointer) / member.key()).to_string();
        collect(*member, {&*member, &value, member.key(), 0, below, 0}, nodes);
      }
    } else if (value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        const std::string below = pointer + "/" + std::to_string(i);
        collect(value[i], {&value[i], &value, "", i, below, 0}, nodes);
      }
    }
    nodes[at].end = nodes.size();
  }

  static std::vector<Node> nodes_of(json& document) {
    std::vector<Node> nodes;
    collect(document, {&document, nullptr, "", 0, "", 0}, nodes);
    return nodes;
  }

  /// Puts the value at the pointer when the way there is objects, or can be made so.
  static void put(json& document, const std::string& pointer, const json& value) {
    try {
      document[json::json_pointer(pointer)] = value;
    } catch (const json::exception&) {  // a scalar on the way, or an index beyond the array
    }
  }

  json any_value() {
    switch (random_.below(6)) {
      case 0:
        return random_.one_in(2);
      case 1:
        return nullptr;
      case 2:
        return random_.one_in(2) ? json::object() : json::array();
      case 3:
        return edge_text(random_);
      default:
        return edge_number(random_);
    }
  }

  /// One beside the number, or in a simple ratio to it.
  json near(const json& number) {
    if (number.is_number_integer() && number < (1LL << 40) && number > -(1LL << 40)) {
      const auto value = number.get<std::int64_t>();
      const std::vector<std::int64_t> choices{value + 1, value - 1, value * 2, value / 2,
                                              value * 3, -value,    value * 10};
      return random_.of(choices);
    }
    const auto value = number.get<double>();
    const std::vector<double> choices{value * 2,    value / 2, value * 1.01,
                                      -value,       1 - value, std::min(value, 1e280) * 1e20,
                                      value * 1e-20};
    return random_.of(choices);
  }

  /// A quantity keeps its unit or its number; a text of another kind may become any.
  std::string near_text(const std::string& text) {
    const std::size_t unit = text.find_first_not_of("0123456789.eE+- ");
    if (text.empty() || unit == 0 || random_.one_in(3)) return edge_text(random_);
    if (unit == std::string::npos || random_.one_in(3)) return text + edge_quantity(random_, " ");
    return edge_quantity(random_, std::string_view(text).substr(unit));
  }

  json changed_scalar(const json& scalar) {
    if (random_.one_in(6)) return any_value();
    if (scalar.is_boolean()) return !scalar.get<bool>();
    if (scalar.is_number()) return random_.one_in(2) ? near(scalar) : edge_number(random_);
    if (scalar.is_string()) return near_text(scalar.get<std::string>());
    return any_value();
  }

  void set_known_place(json& document) {
    if (vocabulary_.places().empty()) return;
    const Vocabulary::Place& place = random_.of(vocabulary_.places());
    const bool edge = place.values.empty() || random_.one_in(8);
    put(document, place.pointer, edge ? any_value() : random_.of(place.values));
  }

  void remove(const Node& node) {
    if (node.parent == nullptr) return;
    if (node.parent->is_object()) {
      node.parent->erase(node.key);
    } else {
      node.parent->erase(node.index);
    }
  }

  /// A member moves or is copied to another key, an element is written twice.
  void rename(const Node& node) {
    if (node.parent == nullptr) return;
    const json value = *node.value;
    if (node.parent->is_array()) {
      node.parent->insert(node.parent->begin() + static_cast<std::ptrdiff_t>(node.index), value);
      return;
    }
    std::string key = node.key;
    if (vocabulary_.keys().empty() || random_.one_in(4)) {
      key = random_.one_in(2) ? key + "s" : edge_text(random_);
    } else {
      key = random_.of(vocabulary_.keys());
    }
    json* parent = node.parent;
    if (random_.one_in(2)) parent->erase(node.key);
    (*parent)[key] = value;
  }

  void swap(const std::vector<Node>& nodes) {
    const std::size_t a = random_.below(nodes.size()), b = random_.below(nodes.size());
    const std::size_t first = std::min(a, b), second = std::max(a, b);
    if (second < nodes[first].end) return;  // one holds the other
    std::swap(*nodes[first].value, *nodes[second].value);
  }

  /// Two counts of one object grow or shrink alike, since many are products of each other.
  void scale_together(const Node& node) {
    json* object = node.value->is_object() ? node.value : node.parent;
    if (object == nullptr) return;
    std::vector<json*> counts;
    for (json& member : *object) {
      if (member.is_number_integer() && member > 0 && member < (1LL << 40))
        counts.push_back(&member);
    }
    if (counts.size() < 2) return;
    const auto factor = static_cast<std::int64_t>(2 + random_.below(3));
    const bool grow = random_.one_in(2);
    const std::size_t first = random_.below(counts.size());
    const std::size_t other = (first + 1 + random_.below(counts.size() - 1)) % counts.size();
    for (json* count : {counts[first], counts[other]}) {
      const auto value = count->get<std::int64_t>();
      *count = grow ? value * factor : value / factor;
    }
  }

  void annotate(const Node& node) {
    if (node.value->is_object() && node.value->contains("value")) {
      const json value = node.value->at("value");
      *node.value = value;
    } else {
      const json value = *node.value;
      *node.value = {{"value", value}, {"source", edge_text(random_)}};
    }
  }

  void change_once(json& document) {
    if (random_.below(10) < 3) return set_known_place(document);
    const std::vector<Node> nodes = nodes_of(document);
    const Node& node = random_.of(nodes);
    switch (random_.below(16)) {
      case 0:
        return remove(node);
      case 1:
        return rename(node);
      case 2:
        return swap(nodes);
      case 3: {
        const json part = *random_.of(nodes).value;
        *node.value = part;
        return;
      }
      case 4:
        return annotate(node);
      case 5:
        *node.value = any_value();
        return;
      case 6:
      case 7:
        return scale_together(node);
      default: {
        std::vector<json*> scalars;
        for (const Node& one : nodes) {
          if (one.value->is_primitive()) scalars.push_back(one.value);
        }
        if (scalars.empty()) return set_known_place(document);
        json* scalar = random_.of(scalars);
        const json value = changed_scalar(*scalar);
        *scalar = value;
      }
    }
  }

  // ------------------------------------------------------------------------------- assignments

  static std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
    return text;
  }

  /// As a shell would hand it over: a text mostly without its quotes, now and then not UTF-8.
  std::string spelled(const json& value) {
    if (random_.one_in(24)) return std::string("\xff\xc3") + static_cast<char>(random_.below(256));
    if (value.is_string() && !random_.one_in(4)) return value.get<std::string>();
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
  }

  std::string known_line() {
    if (vocabulary_.places().empty()) return "/x=" + spelled(any_value());
    const Vocabulary::Place& place = random_.of(vocabulary_.places());
    const bool edge = place.values.empty() || random_.one_in(4);
    return place.pointer + "=" + spelled(edge ? any_value() : random_.of(place.values));
  }

  void change_lines_once(std::vector<std::string>& lines) {
    if (lines.empty() || random_.one_in(4)) {
      const std::size_t at = random_.below(lines.size() + 1);
      lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at), known_line());
      return;
    }
    std::string& line = lines[random_.below(lines.size())];
    const std::size_t equals = std::min(line.find('='), line.size());
    switch (random_.below(6)) {
      case 0:
        line = known_line();
        return;
      case 1: {
        const std::string gone = line;
        lines.erase(std::find(lines.begin(), lines.end(), gone));
        return;
      }
      case 2: {
        static const std::vector<std::string> kTails{"/", "/x", "/0", "/-", "/value", "~", "//"};
        line.insert(equals, random_.of(kTails));
        return;
      }
      default: {
        const std::string text = line.substr(std::min(equals + 1, line.size()));
        const json value = json::parse(text, nullptr, false);
        const json before = value.is_discarded() ? json(printable(text)) : value;
        const json after = before.is_primitive() ? changed_scalar(before) : any_value();
        line = line.substr(0, equals) + "=" + spelled(after);
      }
    }
  }

  static std::string printable(std::string text) {
    std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) >= 0x7f; });
    return text;
  }

  const Vocabulary& vocabulary_;
  Random random_;
};

/// The document, or a discarded value when the bytes are no JSON or nested too deeply.
inline json parse_input(std::string_view text) {
  int depth = 0, deepest = 0;
  for (const char c : text) {
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    deepest = std::max(deepest, depth);
  }
  if (deepest > kDeepest) return json(json::value_t::discarded);
  return json::parse(text, nullptr, false, true);
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Copies the text when it fits; returns its size, or 0 when it does not.
inline std::size_t store(const std::string& text, std::uint8_t* out, std::size_t max_size) {
  if (text.size() > max_size) return 0;
  std::memcpy(out, text.data(), text.size());
  return text.size();
}

inline std::string written(const json& document, Random& random) {
  const bool lines = random.one_in(16);
  return (lines ? "// comment\n" : "") +
         document.dump(lines ? 1 : -1, ' ', false, json::error_handler_t::replace);
}

/// LLVMFuzzerCustomMutator for JSON documents.
inline std::size_t mutate_document(const Vocabulary& vocabulary, std::uint8_t* data,
                                   std::size_t size, std::size_t max_size, unsigned seed) {
  Mutator mutator(vocabulary, seed);
  Random& random = mutator.random();
  if (random.one_in(kByteShare)) return LLVMFuzzerMutate(data, size, max_size);
  json document = parse_input(text_of(data, size));
  if (document.is_discarded() || (document.is_primitive() && random.one_in(4))) {
    if (vocabulary.examples().empty() || random.one_in(2)) {
      return LLVMFuzzerMutate(data, size, max_size);
    }
    document = random.of(vocabulary.examples());
  }
  mutator.change(document);
  const std::size_t stored = store(written(document, random), data, max_size);
  return stored > 0 ? stored : LLVMFuzzerMutate(data, size, max_size);
}

/// LLVMFuzzerCustomCrossOver for JSON documents; 0 when nothing came of it.
inline std::size_t cross_documents(const Vocabulary& vocabulary, std::string_view one,
                                   std::string_view other, std::uint8_t* out, std::size_t max_size,
                                   unsigned seed) {
  Mutator mutator(vocabulary, seed);
  json document = parse_input(one);
  const json donor = parse_input(other);
  if (document.is_discarded() || donor.is_discarded()) return 0;
  mutator.cross(document, donor);
  return store(written(document, mutator.random()), out, max_size);
}

/// LLVMFuzzerCustomMutator for assignments, one a line.
inline std::size_t mutate_lines(const Vocabulary& vocabulary, std::uint8_t* data, std::size_t size,
                                std::size_t max_size, unsigned seed) {
  Mutator mutator(vocabulary, seed);
  if (mutator.random().one_in(kByteShare)) return LLVMFuzzerMutate(data, size, max_size);
  const std::string text = mutator.changed_lines(std::string(text_of(data, size)));
  const std::size_t stored = store(text, data, max_size);
  return stored > 0 ? stored : LLVMFuzzerMutate(data, size, max_size);
}

/// LLVMFuzzerCustomCrossOver for assignments, one a line.
inline std::size_t cross_lines(const Vocabulary& vocabulary, std::string_view one,
                               std::string_view other, std::uint8_t* out, std::size_t max_size,
                               unsigned seed) {
  return store(Mutator(vocabulary, seed).crossed_lines(one, other), out, max_size);
}

}  // namespace cmsim::fuzz
