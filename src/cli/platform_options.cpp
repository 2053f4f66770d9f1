#include "platform_options.hpp"

#include "cmsim/run/shipped.hpp"
#include "commands.hpp"

namespace cmsim::cli {

void PlatformOptions::add_platform(CLI::App& sub) {
  sub.add_option("PLATFORM", platform, kPlatformHelp)->required();
}

void PlatformOptions::add_changes(CLI::App& sub) {
  faults.add_to(sub);
  sub.add_option("--set", sets, "Change one key of the platform (repeatable)")
      ->type_name("/POINTER=VALUE")
      ->allow_extra_args(false);
}

ConfigDocument PlatformOptions::document() const {
  std::vector<std::string> all = sets;
  for (run::Setting& setting : faults.settings()) all.push_back(std::move(setting.assignment));
  return run::platform_document(platform, all);
}

void add_model_option(CLI::App& sub, std::string& model) {
  sub.add_option("--model", model,
                 "Model file [../workloads/models/deepseek-r1.json beside PLATFORM's directory]")
      ->type_name("FILE");
}

}  // namespace cmsim::cli
