#include "cmsim/run/file_kind.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "cmsim/base/config.hpp"

namespace cmsim::run {
namespace {

namespace fs = std::filesystem;

struct KindFacts {
  FileKind kind;
  const char* key;  // that no other kind has
  const char* name;
  const char* use;  // "{}" stands for the file
};
constexpr const char* kUseOfPlatform =
    "cmsim p2p or collective {}, or cmsim run SCENARIO --set /platform={}";
constexpr std::array kKinds{
    KindFacts{FileKind::kResult, "provenance", "a result", "cmsim compare OLD {}"},
    KindFacts{FileKind::kBaseline, "cases", "a baseline", "cmsim check {}"},
    KindFacts{FileKind::kStudy, "scenario", "a study", "cmsim sweep {}"},
    KindFacts{FileKind::kScenario, "workload", "a scenario", "cmsim run {}"},
    KindFacts{FileKind::kScenario, "platform", "a scenario", "cmsim run {}"},
    KindFacts{FileKind::kPlatform, "npus_per_node", "a platform", kUseOfPlatform},
    KindFacts{FileKind::kPlatform, "ub", "a platform", kUseOfPlatform},
    KindFacts{FileKind::kPlatform, "nodes", "a platform", kUseOfPlatform},
    KindFacts{FileKind::kScenario, "extends", "a scenario", "cmsim run {}"},
    KindFacts{FileKind::kDevice, "die", "a device",
              "\"device\": \"{}\" in a platform, or --set /platform/device={}"},
    KindFacts{FileKind::kModel, "vocabulary", "a model", "cmsim run SCENARIO --set /model={}"},
    KindFacts{FileKind::kModel, "vocab_size", "a model", "cmsim run SCENARIO --set /model={}"}};

/// Null for what is known by no key.
const KindFacts* facts_of(const nlohmann::json& document) {
  const auto found = std::ranges::find_if(
      kKinds, [&](const KindFacts& facts) { return document.contains(facts.key); });
  return found == kKinds.end() ? nullptr : &*found;
}

std::string with_file(std::string use, const std::string& file) {
  for (std::size_t at = 0; (at = use.find("{}", at)) != std::string::npos; at += file.size()) {
    use.replace(at, 2, file);
  }
  return use;
}

}  // namespace

void expect_kind(const fs::path& file, FileKind wanted) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return;
  const ConfigDocument document = ConfigDocument::from_file(file);
  const KindFacts* facts = facts_of(document.value());
  if (facts == nullptr || facts->kind == wanted) return;
  throw ConfigError({file.string(), 0, ""}, fmt::format("is {}; use {}", facts->name,
                                                        with_file(facts->use, file.string())));
}

}  // namespace cmsim::run
