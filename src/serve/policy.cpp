#include "cmsim/serve/policy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "cmsim/base/error.hpp"
#include "cmsim/base/random.hpp"
#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {
namespace {

template <class... Slot>
std::vector<SlotInfo> infos(SlotList<Slot...>) {
  return {{Slot::kName, Slot::kDefault, Slot::kQuestion, &Slot::is_asked}...};
}

std::string pointer_of(std::string_view slot, std::string_view parameter = "") {
  std::string pointer = fmt::format("/policies/{}", slot);
  if (!parameter.empty()) pointer += fmt::format("/{}", parameter);
  return pointer;
}

/// `known are "a", "b"; did you mean "b"?`
std::string among(const std::string& name, const std::vector<std::string>& known) {
  std::string message;
  for (const std::string& one : known) {
    message += fmt::format("{}\"{}\"", message.empty() ? "known are " : ", ", one);
  }
  if (message.empty()) message = "there is none";
  if (const std::string close = closest_match(name, known); !close.empty()) {
    message += fmt::format("; did you mean \"{}\"?", close);
  }
  return message;
}

/// What can stand in a scenario, a command and a message.
bool can_be_named(const std::string& name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool lies_within(const ParameterInfo& parameter, double value) {
  return value >= parameter.minimum && value <= parameter.maximum;
}

const ParameterInfo* declared(const PolicyInfo& info, std::string_view name) {
  const auto it = std::ranges::find(info.parameters, name, &ParameterInfo::name);
  return it == info.parameters.end() ? nullptr : &*it;
}

void check_given(std::string_view slot, const PolicyInfo& info, const Parameters& given) {
  for (const auto& [name, value] : given) {
    const ParameterInfo* parameter = declared(info, name);
    if (parameter == nullptr) {
      std::vector<std::string> known;
      for (const ParameterInfo& one : info.parameters) known.push_back(one.name);
      throw ConfigError(
          {"", 0, pointer_of(slot, name)},
          fmt::format("unknown parameter of \"{}\"; {}", info.name, among(name, known)));
    }
    if (!lies_within(*parameter, value)) {
      throw ConfigError({"", 0, pointer_of(slot, name)},
                        fmt::format("{:g} is out of range, allowed are {:g} to {:g}", value,
                                    parameter->minimum, parameter->maximum));
    }
  }
}

/// Each of its own draw, whatever other policies ask for.
std::shared_ptr<const OutputEstimates> draw_estimates(std::string_view slot, double error,
                                                      std::uint64_t seed,
                                                      const std::vector<Tokens>& output_tokens) {
  RandomStream random(seed, fmt::format("serve/estimate/{}", slot));
  std::vector<Tokens> estimates;
  estimates.reserve(output_tokens.size());
  for (const Tokens tokens : output_tokens) {
    const double factor = error > 0 ? random.lognormal(0, error) : 1;
    estimates.push_back(std::max<Tokens>(1, std::llround(static_cast<double>(tokens) * factor)));
  }
  return std::make_shared<const OutputEstimates>(std::move(estimates));
}

template <class Slot>
NamedPolicy<Slot> make_of_slot(const PolicyRegistry& registry, const PolicyChoices& choices,
                               PolicyContext context,
                               const std::function<std::vector<Tokens>()>& output_tokens,
                               PolicyCall* call) {
  const auto it = choices.find(Slot::kName);
  const PolicyChoice choice = it == choices.end() ? PolicyChoice{Slot::kDefault} : it->second;
  const Parameters settled = registry.settled(Slot::kName, choice);
  if (const auto error = settled.find(kEstimateError); error != settled.end()) {
    context.estimates = draw_estimates(Slot::kName, error->second, context.seed,
                                       output_tokens ? output_tokens() : std::vector<Tokens>());
  }
  const PolicyCall::Scope scope(call,
                                {PolicyCall::Stage::kMaking, Slot::kName, choice.name.c_str()});
  return registry.make<Slot>(choice, std::move(context));
}

template <class... Slot>
Policies make_all(SlotList<Slot...>, const PolicyRegistry& registry, const PolicyChoices& choices,
                  const PolicyContext& context,
                  const std::function<std::vector<Tokens>()>& output_tokens, PolicyCall* call) {
  return {{make_of_slot<Slot>(registry, choices, context, output_tokens, call)...}, call};
}

}  // namespace

const std::vector<SlotInfo>& slots() {
  static const std::vector<SlotInfo> all = infos(Slots());
  return all;
}

PolicyChoices default_choices() {
  PolicyChoices choices;
  for (const SlotInfo& slot : slots()) choices[slot.name] = {slot.otherwise};
  return choices;
}

double PolicyContext::parameter(std::string_view name) const {
  const auto it = parameters.find(name);
  if (it == parameters.end()) throw std::out_of_range(fmt::format("no parameter \"{}\"", name));
  return it->second;
}

std::optional<double> PolicyContext::parameter_if(std::string_view name) const {
  const auto it = parameters.find(name);
  return it == parameters.end() ? std::nullopt : std::optional(it->second);
}

void PolicyRegistry::add_entry(const char* slot, PolicyInfo info, AnyFactory factory) {
  const auto refuse_if = [&](bool wrong, const std::string& why) {
    if (wrong) throw std::invalid_argument(title(slot, info.name) + " " + why);
  };
  refuse_if(!can_be_named(info.name), "needs a name of printable characters without spaces");
  refuse_if(
      std::ranges::any_of(
          entries_, [&](const Entry& e) { return e.slot == slot && e.info.name == info.name; }),
      "is registered twice");
  refuse_if(!factory, "is registered without a factory");
  for (const ParameterInfo& parameter : info.parameters) {
    const std::string which = fmt::format("has a parameter \"{}\" ", parameter.name);
    refuse_if(!can_be_named(parameter.name) || parameter.name == "name",
              which + "whose name cannot stand in a scenario");
    refuse_if(std::ranges::count(info.parameters, parameter.name, &ParameterInfo::name) > 1,
              which + "twice");
    refuse_if(parameter.otherwise && !lies_within(parameter, *parameter.otherwise),
              which + "whose default is out of its range");
  }
  entries_.push_back({slot, std::move(info), std::move(factory)});
}

std::vector<PolicyInfo> PolicyRegistry::of(std::string_view slot) const {
  std::vector<PolicyInfo> out;
  for (const Entry& entry : entries_) {
    if (entry.slot == slot) out.push_back(entry.info);
  }
  return out;
}

const PolicyRegistry::Entry& PolicyRegistry::entry(std::string_view slot,
                                                   const std::string& name) const {
  std::vector<std::string> known;
  for (const Entry& entry : entries_) {
    if (entry.slot != slot) continue;
    if (entry.info.name == name || (!name.empty() && entry.info.formerly == name)) return entry;
    known.push_back(entry.info.name);
  }
  throw ConfigError({"", 0, pointer_of(slot)},
                    fmt::format("unknown policy \"{}\"; {}", name, among(name, known)));
}

const PolicyInfo& PolicyRegistry::info(std::string_view slot, const std::string& name) const {
  return entry(slot, name).info;
}

Parameters PolicyRegistry::settled(std::string_view slot, const PolicyChoice& choice) const {
  const PolicyInfo& info = entry(slot, choice.name).info;
  check_given(slot, info, choice.parameters);
  Parameters settled = choice.parameters;
  for (const ParameterInfo& parameter : info.parameters) {
    if (parameter.otherwise) settled.emplace(parameter.name, *parameter.otherwise);
  }
  return settled;
}

/// What goes wrong in the factory is told with the policy's name.
std::unique_ptr<AnyPolicy> PolicyRegistry::make_any(std::string_view slot,
                                                    const PolicyChoice& choice,
                                                    PolicyContext context) const {
  const Entry& found = entry(slot, choice.name);
  context.parameters = settled(slot, choice);
  const auto complaint = [&](const std::string& what) {
    return title(slot, choice.name) + " " + what + " while being made";
  };
  std::unique_ptr<AnyPolicy> policy;
  try {
    policy = found.factory(context);
  } catch (const ConfigError& error) {
    throw ConfigError({"", 0, pointer_of(slot)},
                      title(slot, choice.name) + " cannot be made: " + error.what());
  } catch (...) {
    throw SimulationError(complaint(what_was_thrown()));
  }
  if (!policy) throw SimulationError(complaint("returned a null pointer"));
  return policy;
}

Policies make_policies(const PolicyRegistry& registry, const PolicyChoices& choices,
                       std::uint64_t seed,
                       const std::function<std::vector<Tokens>()>& output_tokens,
                       PolicyCall* call) {
  return make_all(Slots(), registry, choices, {.seed = seed}, output_tokens, call);
}

}  // namespace cmsim::serve
