#include "option_rules.hpp"

#include "cmsim/base/error.hpp"

namespace cmsim::cli {

void refuse_idle(const CLI::App& command, const std::vector<OptionRule>& rules) {
  for (const OptionRule& rule : rules) {
    if (!rule.idle) continue;
    for (const std::string& option : rule.options) {
      if (command.count(option) == 0) continue;
      throw ConfigError({.file = option, .line = 0, .pointer = ""}, "has no effect " + rule.why);
    }
  }
}

}  // namespace cmsim::cli
