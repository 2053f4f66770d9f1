#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"
#include "cmsim/base/json_text.hpp"
#include "commands.hpp"
#include "plugin.hpp"
#include "terminal.hpp"
#include "text_table.hpp"

namespace cmsim::cli {
namespace {

using nlohmann::ordered_json;
using serve::ParameterInfo;
using serve::ParameterKind;
using serve::PolicyInfo;
using serve::SlotInfo;

/// What is to be listed: slots with some of their policies.
using Listing = std::vector<std::pair<SlotInfo, std::vector<PolicyInfo>>>;

/// All, or the slot of that name, or the policies of that name.
Listing listing_of(const serve::PolicyRegistry& registry, const std::string& name) {
  Listing listing;
  std::vector<std::string> known;
  for (const SlotInfo& slot : serve::slots()) {
    std::vector<PolicyInfo> policies = registry.of(slot.name);
    known.emplace_back(slot.name);
    for (const PolicyInfo& policy : policies) known.push_back(policy.name);
    if (!name.empty() && name != slot.name) {
      std::erase_if(policies, [&](const PolicyInfo& policy) { return policy.name != name; });
    }
    if (!policies.empty()) listing.emplace_back(slot, std::move(policies));
  }
  if (!listing.empty()) return listing;
  const std::string close = closest_match(name, known);
  throw ConfigError({"policies", 0, ""},
                    fmt::format("\"{}\" is no slot and no policy{}", name,
                                close.empty() ? "" : fmt::format(", did you mean \"{}\"?", close)));
}

std::string written(const ParameterInfo& parameter, double value) {
  if (parameter.kind == ParameterKind::kTime) return format_quantity(value, Dimension::kTime);
  return fmt::format("{:g}", value);
}

std::string otherwise_of(const ParameterInfo& parameter) {
  return parameter.otherwise ? written(parameter, *parameter.otherwise) : "-";
}

std::string unit_of(const ParameterInfo& parameter) {
  if (parameter.kind == ParameterKind::kTime) return "s";
  return parameter.unit.empty() ? "1" : parameter.unit;
}

constexpr std::size_t kIndent = 4;

void print_policy(const SlotInfo& slot, const PolicyInfo& policy, std::size_t width) {
  std::string what = policy.description;
  if (policy.name == slot.otherwise) what += " (default)";
  if (!policy.source.empty()) what += fmt::format(" [{}]", policy.source);
  print("  {:<{}}  {}\n", policy.name, width, wrapped(what, width + kIndent, width + kIndent));
  for (const ParameterInfo& parameter : policy.parameters) {
    const std::string line = fmt::format(
        "{}: {} (default {}, {} to {}{})", parameter.name, parameter.help, otherwise_of(parameter),
        written(parameter, parameter.minimum), written(parameter, parameter.maximum),
        parameter.unit.empty() ? "" : " " + parameter.unit);
    print("  {:<{}}    {}\n", "", width, wrapped(line, width + kIndent + 4, width + kIndent + 2));
  }
}

void print_listing(const Listing& listing) {
  std::size_t width = 0;
  for (const auto& [slot, policies] : listing) {
    for (const PolicyInfo& policy : policies) width = std::max(width, policy.name.size());
  }
  for (const auto& [slot, policies] : listing) {
    print("/policies/{}: {}\n", slot.name, slot.question);
    for (const PolicyInfo& policy : policies) print_policy(slot, policy, width);
  }
}

ordered_json json_of(const ParameterInfo& parameter) {
  ordered_json out{
      {"name", parameter.name}, {"help", parameter.help}, {"unit", unit_of(parameter)}};
  out["integer"] = parameter.kind == ParameterKind::kInteger;
  out["default"] = parameter.otherwise ? ordered_json(*parameter.otherwise) : ordered_json();
  out["minimum"] = parameter.minimum;
  out["maximum"] = parameter.maximum;
  return out;
}

ordered_json json_of(const Listing& listing) {
  ordered_json out = ordered_json::array();
  for (const auto& [slot, policies] : listing) {
    ordered_json of_slot{{"slot", slot.name}, {"question", slot.question}};
    of_slot["policies"] = ordered_json::array();
    for (const PolicyInfo& policy : policies) {
      ordered_json one{{"name", policy.name},
                       {"default", policy.name == slot.otherwise},
                       {"description", policy.description},
                       {"source", policy.source}};
      one["parameters"] = ordered_json::array();
      for (const ParameterInfo& parameter : policy.parameters) {
        one["parameters"].push_back(json_of(parameter));
      }
      of_slot["policies"].push_back(std::move(one));
    }
    out.push_back(std::move(of_slot));
  }
  return out;
}

struct PoliciesCommand {
  std::string name;
  std::vector<std::string> plugins;
  bool json = false;

  int run(Session& session) const {
    serve::PolicyCall call;
    PolicyWatch watch(call, kPolicyTimeout);
    load_plugins(plugins, session.registry, call, watch);
    const Listing listing = listing_of(session.registry, name);
    if (json) {
      print_text(json_text(json_of(listing)) + "\n");
    } else {
      print_listing(listing);
    }
    return kOk;
  }
};

}  // namespace

void add_policies(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("policies", "List the policies that a scenario can name");
  auto policies = std::make_shared<PoliciesCommand>();
  command->add_option("NAME", policies->name, "A slot or a policy; left out, all")->type_name("");
  command->add_option("--plugin", policies->plugins, "Shared object that registers more policies")
      ->type_name("FILE.so")
      ->allow_extra_args(false);
  command->add_flag("--json", policies->json, "Print JSON");
  command->footer("Example: cmsim policies decode_admission");
  command->callback([policies, &session] {
    session.action = [policies, &session] { return policies->run(session); };
  });
}

}  // namespace cmsim::cli
