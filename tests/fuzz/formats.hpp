// What the fuzzers know of the formats: examples are the shipped files, places and their edges come
// from docs/scenario.schema.json. Read once, at the first mutation.
#pragma once

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "json_mutator.hpp"
#include "oracle.hpp"

namespace cmsim::fuzz {

inline json read_shipped(const std::string& file) {
  std::ifstream stream(CMSIM_SOURCE_DIR "/" + file);
  require(stream.good(), "a shipped file is there");
  return json::parse(stream, nullptr, true, true);
}

/// Without where the values come from, which is most of the text.
inline json without_sources(const json& document) {
  if (!document.is_structured()) return document;
  if (document.is_object() && document.contains("value")) return document["value"];
  json bare = document;
  for (json& value : bare) value = without_sources(value);
  return bare;
}

/// With its device inline.
inline json shipped_platform() {
  const json platform = without_sources(read_shipped("platforms/cloudmatrix384.json"));
  json whole =
      without_sources(read_shipped("platforms/" + platform.at("device").get<std::string>()));
  whole.update(platform);
  whole.erase("device");
  return whole;
}
inline json shipped_model() {
  return without_sources(read_shipped("workloads/models/deepseek-r1.json"));
}

/// With platform and model inline, so that loading reads no file.
inline json whole_scenario(const std::string& name) {
  json scenario = without_sources(read_shipped("workloads/scenarios/" + name + ".json"));
  scenario["platform"] = shipped_platform();
  scenario["model"] = shipped_model();
  return scenario;
}

/// Few nodes, layers and experts: loads fifty times as fast and goes the same ways.
inline json shrunk(json scenario) {
  scenario.merge_patch(json::parse(R"({
    "platform": {"nodes": 4, "ub": {"l2_chips_per_plane": 4}},
    "model": {"layers": 3, "dense_layers": 1, "hidden": 1024, "heads": 16, "routed_experts": 16,
              "experts_per_token": 4, "expert_groups": 4, "groups_per_token": 2},
    "deployment": {"prefill": {"instances": 2, "npus_per_instance": 2, "ep": 4,
                               "max_num_batched_tokens": 2048},
                   "decode": {"instances": 1, "npus_per_instance": 4, "ep": 8, "max_num_seqs": 16}}
  })"));
  return scenario;
}

inline json small_scenario() { return shrunk(whole_scenario("cloudmatrix384")); }

inline const json& schema() {
  static const json kSchema = read_shipped("docs/scenario.schema.json");
  return kSchema;
}
inline const json& definition(const std::string& name) {
  return schema().at("definitions").at(name);
}

/// Where the value breaks the schema node, or "" when it does not. Knows the keywords that the
/// schema uses, except patterns: the readers' quantities are checked elsewhere.
inline std::string violation(const json& value, const json& node, const std::string& pointer = "") {
  if (node.contains("$ref")) {
    const std::string reference = node["$ref"].get<std::string>().substr(1);
    return violation(value, schema().at(json::json_pointer(reference)), pointer);
  }
  if (node.contains("anyOf") || node.contains("oneOf")) {
    std::string first = pointer + " fits no alternative";
    for (const json& one : node.contains("anyOf") ? node["anyOf"] : node["oneOf"]) {
      const std::string found = violation(value, one, pointer);
      if (found.empty()) return "";
      if (value.is_object() && one.contains("properties")) first = found;
    }
    return first;
  }
  if (node.contains("enum")) {
    const json& allowed = node["enum"];
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) return pointer + " enum";
  }
  const std::string type = node.value("type", "");
  const bool whole = value.is_number() && value.get<double>() == std::floor(value.get<double>());
  if ((type == "object" && !value.is_object()) || (type == "string" && !value.is_string()) ||
      (type == "boolean" && !value.is_boolean()) || (type == "number" && !value.is_number()) ||
      (type == "integer" && !whole)) {
    return pointer + " is no " + type;
  }
  if (value.is_number() && ((node.contains("minimum") && value < node["minimum"]) ||
                            (node.contains("maximum") && value > node["maximum"]))) {
    return pointer + " is out of range";
  }
  if (!value.is_object() || !node.contains("properties")) return "";
  for (const json& key : node.value("required", json::array())) {
    if (!value.contains(key)) return pointer + " lacks " + key.get<std::string>();
  }
  for (const auto& [key, member] : value.items()) {
    const std::string below = pointer + "/" + key;
    const auto known = node["properties"].find(key);
    if (known == node["properties"].end()) return below + " is unknown";
    if (std::string found = violation(member, *known, below); !found.empty()) return found;
  }
  return "";
}

/// What loads is what docs/scenario.schema.json allows.
inline void require_valid(const json& document, const json& node) {
  const std::string found = violation(document, node);
  require(found.empty(), ("what loads is valid by the schema:" + found).c_str());
}

inline Vocabulary scenario_vocabulary() {
  Vocabulary vocabulary;
  vocabulary.add_schema(schema(), schema());
  for (const char* name : {"cloudmatrix384", "paper-decode", "paper-prefill"}) {
    vocabulary.add_example(shrunk(whole_scenario(name)));
  }
  return vocabulary;
}

inline Vocabulary platform_vocabulary() {
  Vocabulary vocabulary;
  vocabulary.add_schema(definition("platform"), schema());
  vocabulary.add_example(shipped_platform());
  vocabulary.add_example(small_scenario().at("platform"));
  return vocabulary;
}

inline Vocabulary model_vocabulary() {
  Vocabulary vocabulary;
  vocabulary.add_schema(definition("model"), schema());
  vocabulary.add_example(shipped_model());
  return vocabulary;
}

/// A study has no schema: its places are those of its first rows.
inline Vocabulary study_vocabulary() {
  json study = read_shipped("workloads/studies/published.json");
  for (json& list : study) {
    if (list.is_array() && list.size() > 3) list.erase(list.begin() + 3, list.end());
  }
  Vocabulary vocabulary;
  vocabulary.add_example(study);
  return vocabulary;
}

}  // namespace cmsim::fuzz

/// The mutators of a target whose inputs are JSON documents; makes the vocabulary once.
#define CMSIM_FUZZ_DOCUMENTS(made)                                                              \
  static const cmsim::fuzz::Vocabulary& fuzz_vocabulary() {                                     \
    static const cmsim::fuzz::Vocabulary kVocabulary = made;                                    \
    return kVocabulary;                                                                         \
  }                                                                                             \
  extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,          \
                                                 std::size_t max_size, unsigned seed) {         \
    return cmsim::fuzz::mutate_document(fuzz_vocabulary(), data, size, max_size, seed);         \
  }                                                                                             \
  extern "C" std::size_t LLVMFuzzerCustomCrossOver(                                             \
      const std::uint8_t* one, std::size_t one_size, const std::uint8_t* other,                 \
      std::size_t other_size, std::uint8_t* out, std::size_t max_size, unsigned seed) {         \
    return cmsim::fuzz::cross_documents(fuzz_vocabulary(), cmsim::fuzz::text_of(one, one_size), \
                                        cmsim::fuzz::text_of(other, other_size), out, max_size, \
                                        seed);                                                  \
  }
