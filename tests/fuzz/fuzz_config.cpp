// A document, split at the first NUL from a "--set" assignment, is read or refused with a
// ConfigError.
#include <cstdint>
#include <string>
#include <string_view>

#include "cmsim/base/config.hpp"
#include "cmsim/work/workload.hpp"

namespace {

/// Asks every getter for every key of the node, then goes on below it.
void visit(const cmsim::ConfigNode& node, int depth) {
  const auto attempt = [](auto&& get) {
    try {
      get();
    } catch (const cmsim::ConfigError&) {
    }
  };
  for (const std::string& key : node.keys()) {
    attempt([&] { node.number(key); });
    attempt([&] { node.integer(key, -5, 5); });
    attempt([&] { node.boolean(key); });
    attempt([&] { node.text(key); });
    attempt([&] { node.choice(key, {"one", "two"}); });
    attempt([&] { node.quantity(key, cmsim::Dimension::kBandwidth, 0, 1e12); });
    attempt([&] {
      for (const auto& element : node.elements(key)) attempt([&] { element.close(); });
    });
    if (depth < 4) attempt([&] { visit(node.child(key), depth + 1); });
  }
  attempt([&] { node.close(); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = input.find('\0');
  try {
    auto document = cmsim::ConfigDocument::from_text(input.substr(0, split), "fuzz.json");
    if (split != std::string_view::npos) document.apply_set(std::string(input.substr(split + 1)));
    visit(cmsim::ConfigNode(document), 0);
    cmsim::work::read_workload(cmsim::ConfigNode(document), "/nowhere");
  } catch (const cmsim::ConfigError&) {
  }
  return 0;
}
