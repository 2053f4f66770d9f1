#include "fault_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace cmsim::cli {

void FaultOptions::add_to(CLI::App& sub) {
  sub.add_option("--fail", fail,
                 "A part that is lost: plane:3, l2:3/5, l1:12/2, node:7, die:100, cpu:3 or "
                 "link:A-B (repeatable; docs/fabrics.md). Short for --set /faults/fail=PART")
      ->type_name("PART")
      ->allow_extra_args(false);
  sub.add_option("--degrade", degrade,
                 "A part whose links keep a share of their bandwidth: plane:3=50%. Short for "
                 "--set /faults/degrade=PART=SHARE")
      ->type_name("PART=SHARE")
      ->allow_extra_args(false);
}

std::vector<run::Setting> FaultOptions::settings() const {
  std::vector<run::Setting> all;
  const auto add = [&](const char* option, const char* key, const std::vector<std::string>& words) {
    if (words.empty()) return;
    const std::string joined = fmt::format("{}", fmt::join(words, " "));
    all.push_back(
        {fmt::format("/faults/{}={}", key, joined), fmt::format("{} {}", option, joined)});
  };
  add("--fail", "fail", fail);
  add("--degrade", "degrade", degrade);
  return all;
}

std::string FaultOptions::text() const {
  std::string text;
  for (const std::string& part : fail) text += " --fail " + part;
  for (const std::string& part : degrade) text += " --degrade " + part;
  return text;
}

}  // namespace cmsim::cli
