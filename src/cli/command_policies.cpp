#include <fmt/format.h>

#include "commands.hpp"
#include "plugin.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

int list(const serve::PolicyRegistry& registry) {
  const auto policies = registry.list();
  std::size_t width = 0;
  for (const serve::PolicyInfo& policy : policies) width = std::max(width, policy.name.size());
  std::string kind;
  for (const serve::PolicyInfo& policy : policies) {
    if (kind != serve::to_string(policy.kind)) {
      kind = serve::to_string(policy.kind);
      print("/policies/{}\n", kind);
    }
    print("  {:<{}}  {}\n", policy.name, width, policy.description);
  }
  return kOk;
}

}  // namespace

void add_policies(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("policies", "List the policies that a scenario can name");
  auto plugins = std::make_shared<std::vector<std::string>>();
  command->add_option("--plugin", *plugins, "Shared object that registers more policies")
      ->type_name("FILE.so")
      ->allow_extra_args(false);
  command->callback([plugins, &session] {
    session.action = [plugins, &session] {
      serve::PolicyCall call;
      PolicyWatch watch(call, kPolicyTimeout);
      load_plugins(*plugins, session.registry, call, watch);
      return list(session.registry);
    };
  });
}

}  // namespace cmsim::cli
