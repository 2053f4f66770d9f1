// Assignments ("/pointer=value", one a line) to the default scenario, or a whole scenario text when
// the input does not begin with '/': either a scenario or a ConfigError comes out.
#include <cstdint>
#include <string>
#include <string_view>

#include "cmsim/run/scenario.hpp"

namespace {

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try {
    if (input.starts_with('/')) {
      cmsim::run::load_scenario(CMSIM_SOURCE_DIR "/workloads/scenarios/cloudmatrix384.json",
                                lines_of(input));
    } else {
      cmsim::run::parse_scenario(std::string(input), "fuzz.json");
    }
  } catch (const cmsim::ConfigError&) {
  }
  return 0;
}
