#include "plugin.hpp"

#include <dlfcn.h>

#include <filesystem>
#include <stdexcept>

#include "cmsim/base/error.hpp"

namespace cmsim::cli {

void load_plugin(const std::string& file, serve::PolicyRegistry& registry) {
  // With a slash, or the loader would look in the system's library path.
  const std::string path = std::filesystem::absolute(file).string();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw ConfigError({"--plugin " + file, 0, ""}, std::string("cannot be loaded: ") + dlerror());
  }
  using Register = void (*)(serve::PolicyRegistry&);
  const auto entry = reinterpret_cast<Register>(dlsym(library, "cmsim_register_policies"));
  if (entry == nullptr) {
    throw ConfigError({"--plugin " + file, 0, ""},
                      "has no function cmsim_register_policies(cmsim::serve::PolicyRegistry&) "
                      "declared extern \"C\"");
  }
  try {
    entry(registry);
  } catch (const std::invalid_argument& error) {
    throw ConfigError({"--plugin " + file, 0, ""}, error.what());
  }
}

}  // namespace cmsim::cli
