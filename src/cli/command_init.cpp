#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/run/shipped.hpp"
#include "commands.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRun = R"({{
  // A scenario is what differs from the one it extends: delete what should stay as it is there.
  // Every key: docs/scenarios.md and the schema.
{}  "extends": "cloudmatrix384",
  "description": "what this is about",
  "seed": 1,

  "deployment": {{
    "decode": {{"max_num_seqs": 96}}  // sequences per NPU
  }},
  // "platform": {{"die": {{"hbm_bandwidth": "1.6TB/s"}}}},

  "policies": {{"decode_routing": "least_kv"}},  // cmsim policies lists them

  // "trace" takes a file of your own (cmsim trace inspect FILE).
  "workload": {{"arrivals": {{"rate": 160}}}},  // requests per second

  "slo": {{"ttft": "2s", "tpot": "50ms"}}
}}
)";

constexpr const char* kStudy = R"({{
  // A study is a scenario over axes and seeds (docs/studies.md).
  "scenario": "cloudmatrix384",
  "vary": {{
    "/workload/arrivals/rate": "120..200:3",
    "/policies/decode_routing": ["least_kv", "round_robin"]
  }},
  // "set": ["/platform/die/hbm_bandwidth=1.6TB/s"],  // the same at every point
  "seeds": "1..3",
  "metrics": ["goodput", "p99_ttft", "p99_tpot", "slo"]
}}
)";

struct Kind {
  const char *name, *file, *form, *next;
};
constexpr Kind kKinds[] = {{"run", "scenario.json", kRun, "cmsim run {}"},
                           {"study", "study.json", kStudy, "cmsim sweep {}"}};

struct InitCommand {
  std::string kind = "run";
  std::optional<std::string> out;
};

/// The line that tells an editor where the schema is; none where it cannot be found.
std::string schema_line() {
  std::error_code error;
  for (const fs::path& place : run::shipped_places("docs/scenario.schema.json")) {
    if (!fs::exists(place, error)) continue;
    const std::string path = fs::absolute(place).lexically_normal().string();
    return fmt::format("  \"$schema\": {},\n", nlohmann::json(path).dump());
  }
  return "";
}

int execute(const InitCommand& command) {
  const Kind& kind = command.kind == kKinds[0].name ? kKinds[0] : kKinds[1];
  const std::string file = command.out.value_or(kind.file);
  check_place_of(file);
  if (fs::exists(file)) {
    throw ConfigError({file, 0, ""}, "is there already; -o names another file");
  }
  write_whole(file, fmt::format(fmt::runtime(kind.form), schema_line()));
  say("wrote {}: {}\n", file, fmt::format(fmt::runtime(kind.next), file));
  return kOk;
}

}  // namespace

void add_init(CLI::App& app, Session& session) {
  auto command = std::make_shared<InitCommand>();
  CLI::App* sub = app.add_subcommand("init", "Write a scenario or a study to begin with");
  sub->add_option("KIND", command->kind, "What is written")
      ->check(CLI::IsMember({kKinds[0].name, kKinds[1].name}))
      ->capture_default_str();
  sub->add_option("-o,--out", command->out, "The file [scenario.json or study.json]")
      ->type_name("FILE");
  sub->footer(
      "Examples:\n"
      "  cmsim init run && cmsim run scenario.json\n"
      "  cmsim init study -o routing.json && cmsim sweep routing.json");
  sub->callback([command, &session] { session.action = [command] { return execute(*command); }; });
}

}  // namespace cmsim::cli
