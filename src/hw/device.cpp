#include "cmsim/hw/device.hpp"

namespace cmsim::hw {
namespace {

namespace fs = std::filesystem;

std::string place_of_device(const std::string& platform) { return platform + "/device"; }

ConfigDocument open_device(const std::string& file, const SourceLocation& named_at) {
  try {
    return ConfigDocument::from_file(file);
  } catch (const ConfigError& error) {
    if (!error.where().file.empty() && error.where().line > 0) throw;
    throw ConfigError(named_at, error.what());
  }
}

void check_device(const ConfigDocument& device) {
  const ConfigNode root(device);
  root.text("name");
  for (const char* key : {"dies_per_npu", "die", "operators", "token_exchange"}) root.ignore(key);
  root.close();
}

}  // namespace

void anchor_device(ConfigDocument& document, const std::string& platform,
                   const fs::path& directory) {
  const std::string pointer = place_of_device(platform), named = document.text_at(pointer);
  if (named.empty()) return;
  document.replace_text(pointer, (directory / named).lexically_normal().string());
}

void lay_device(ConfigDocument& document, const std::string& platform) {
  const std::string pointer = place_of_device(platform), file = document.text_at(pointer);
  if (file.empty()) return;
  ConfigDocument device = open_device(file, document.location(pointer));
  check_device(device);
  device.erase("/name");
  document.underlay(platform, device, document.layer(pointer));
  document.erase(pointer);
}

ConfigDocument open_platform(const fs::path& file) {
  ConfigDocument document = ConfigDocument::from_file(file);
  anchor_device(document, "", file.parent_path());
  lay_device(document, "");
  return document;
}

}  // namespace cmsim::hw
