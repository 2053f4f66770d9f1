#include "plugin.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>

#include "cmsim/base/error.hpp"
#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::cli {
namespace {

[[noreturn]] void refuse(const std::string& file, const std::string& why) {
  throw ConfigError({"--plugin " + (file.empty() ? "\"\"" : file), 0, ""}, why);
}

void* open(const std::string& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) {
    refuse(file, error ? error.message() : "is not a file");
  }
  // With a slash, or the loader would look in the system's library path.
  const std::string path = std::filesystem::absolute(file).string();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) refuse(file, std::string("cannot be loaded: ") + dlerror());
  return library;
}

void check_abi(const std::string& file, void* library) {
  const serve::PolicyAbi ours = serve::abi::current();
  const auto of = reinterpret_cast<serve::PolicyAbi (*)()>(dlsym(library, "cmsim_policy_abi"));
  if (of == nullptr) {
    refuse(file, fmt::format("does not say for which cmsim it was built: define its policies with "
                             "CMSIM_POLICY_PLUGIN and rebuild it against the headers of this "
                             "cmsim {}",
                             ours.version));
  }
  const serve::PolicyAbi theirs = of();
  if (theirs.layout == ours.layout) return;
  refuse(file, fmt::format("was built for another cmsim: {} with policy interface {:016x}, this is "
                           "{} with {:016x}; rebuild it against the headers of this cmsim",
                           theirs.version, theirs.layout, ours.version, ours.layout));
}

void load(const std::string& file, serve::PolicyRegistry& registry) {
  void* library = open(file);
  check_abi(file, library);
  const auto entry =
      reinterpret_cast<void (*)(serve::PolicyRegistry&)>(dlsym(library, "cmsim_register_policies"));
  if (entry == nullptr) refuse(file, "has no function cmsim_register_policies()");
  entry(registry);
}

}  // namespace

void load_plugins(const std::vector<std::string>& files, serve::PolicyRegistry& registry,
                  serve::PolicyCall& call, PolicyWatch& watch) {
  if (!files.empty()) watch.catch_crashes();
  for (const std::string& file : files) {
    const serve::PolicyCall::Scope scope(&call,
                                         {serve::PolicyCall::Stage::kLoading, {}, file.c_str()});
    try {
      load(file, registry);
    } catch (const ConfigError&) {
      throw;
    } catch (...) {
      refuse(file, serve::what_was_thrown() + " while being loaded");
    }
  }
}

}  // namespace cmsim::cli
