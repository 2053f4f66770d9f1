#include "policy_keys.hpp"

#include <fmt/format.h>

namespace cmsim::run {
namespace {

using nlohmann::json;

constexpr const char* kPolicies = "/policies";

std::vector<std::string> slots_in(const ConfigDocument& document) {
  std::vector<std::string> pointers;
  for (const serve::SlotInfo& slot : serve::slots()) {
    const std::string pointer = fmt::format("{}/{}", kPolicies, slot.name);
    if (document.has(pointer)) pointers.push_back(pointer);
  }
  return pointers;
}

bool stands_alone(const json& value) {
  return value.is_string() || (value.is_object() && value.contains("value"));
}

double read_parameter(const ConfigNode& policy, const serve::ParameterInfo& parameter) {
  const auto [name, low, high] = std::tie(parameter.name, parameter.minimum, parameter.maximum);
  switch (parameter.kind) {
    case serve::ParameterKind::kTime:
      return policy.quantity(name, Dimension::kTime, low, high);
    case serve::ParameterKind::kInteger:
      return static_cast<double>(
          policy.integer(name, static_cast<std::int64_t>(low), static_cast<std::int64_t>(high)));
    case serve::ParameterKind::kNumber:
      break;
  }
  return policy.number(name, low, high);
}

/// The registry knows no file.
const serve::PolicyInfo& known(const ConfigNode& policies, const serve::PolicyRegistry& registry,
                               const char* slot, const std::string& name) {
  try {
    return registry.info(slot, name);
  } catch (const ConfigError& error) {
    std::string message = error.what();
    const std::string prefix = error.where().pointer + ": ";
    if (message.starts_with(prefix)) message.erase(0, prefix.size());
    policies.fail(slot, message);
  }
}

}  // namespace

void open_policies(ConfigDocument& document) {
  for (const std::string& pointer : slots_in(document)) {
    const json::json_pointer place(pointer);
    json named = document.value().at(place);
    if (!stands_alone(named)) continue;
    const SourceLocation from = document.location(pointer);
    const int layer = document.layer(pointer);
    document.erase(pointer);
    json opened;
    opened[place]["name"] = std::move(named);
    document.underlay("",
                      ConfigDocument::from_value(
                          std::move(opened), from.file,
                          {{"", from.line}, {pointer, from.line}, {pointer + "/name", from.line}}),
                      layer);
  }
}

void retire_parameters(ConfigDocument& document) {
  for (const std::string& pointer : slots_in(document)) {
    const std::string name = pointer + "/name";
    if (!document.has(name)) continue;
    for (const std::string& parameter : document.parameters(pointer)) {
      if (document.layer(parameter) < document.layer(name)) document.erase(parameter);
    }
  }
}

serve::PolicyChoices read_policies(const ConfigNode& policies,
                                   const serve::PolicyRegistry& registry) {
  serve::PolicyChoices choices = serve::default_choices();
  for (const serve::SlotInfo& slot : serve::slots()) {
    const ConfigNode own = policies.child_or_empty(slot.name);
    serve::PolicyChoice& choice = choices.at(slot.name);
    choice.name = own.text_or("name", choice.name);
    const serve::PolicyInfo& policy = known(policies, registry, slot.name, choice.name);
    choice.name = policy.name;  // the scenario may say a former one
    for (const serve::ParameterInfo& parameter : policy.parameters) {
      if (own.has(parameter.name))
        choice.parameters[parameter.name] = read_parameter(own, parameter);
    }
    own.close();
  }
  policies.close();
  return choices;
}

}  // namespace cmsim::run
