#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cmsim/base/config.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/hw/graph_files.hpp"
#include "cmsim/run/collective.hpp"
#include "cmsim/run/shipped.hpp"
#include "commands.hpp"
#include "option_rules.hpp"
#include "platform_options.hpp"
#include "terminal.hpp"
#include "topology_report.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;

struct TopologyCommand {
  PlatformOptions machine;
  std::string model;
  std::optional<std::string> traffic, file;
  bool json = false;
};

enum class Format { kGraphml, kDot, kSvg };

Format format_of(const fs::path& file) {
  const std::string extension = file.extension().string();
  if (extension == ".graphml") return Format::kGraphml;
  if (extension == ".dot") return Format::kDot;
  if (extension == ".svg") return Format::kSvg;
  throw ConfigError(
      {"--export " + file.string(), 0, ""},
      fmt::format("found the ending \"{}\", allowed are .graphml, .dot, .svg", extension));
}

std::string exported(const fs::path& file, const coll::Fabric& fabric,
                     const TopologyReport& report) {
  const hw::Topology& topology = fabric.topology();
  try {
    switch (format_of(file)) {
      case Format::kGraphml:
        return hw::to_graphml(topology);
      case Format::kDot:
        return hw::to_dot(topology);
      case Format::kSvg:
        break;
    }
  } catch (const std::length_error& error) {
    throw ConfigError({"--export " + file.string(), 0, ""}, error.what());
  }
  if (!report.traffic) return hw::draw_svg(fabric.platform(), topology);
  const hw::DrawingLoads loads = drawing_loads(fabric, *report.traffic);
  return hw::draw_svg(fabric.platform(), topology, &loads);
}

int execute(const TopologyCommand& command) {
  if (command.file) {
    format_of(*command.file);
    check_place_of(*command.file);
  }
  const ConfigDocument document = command.machine.document();
  const hw::Platform platform = hw::read_platform(ConfigNode(document));
  const auto model = [&] {
    return model::load_architecture(
        run::find_model(command.model, run::find_platform(command.machine.platform)));
  };
  const coll::Fabric fabric(platform, coll::Uplinks::kAlways);
  TopologyReport report;
  try {
    report = report_topology(fabric);
    if (command.traffic) {
      report.traffic = report_traffic(fabric, run::read_traffic(*command.traffic, platform, model));
    }
  } catch (const std::invalid_argument& error) {
    throw ConfigError(error.what());
  }
  if (command.file) write_whole(*command.file, exported(*command.file, fabric, report));
  if (command.json) {
    print("{}\n", json_text(to_json(platform, report)));
  } else {
    print_text(to_text(platform, report));
  }
  if (command.file) say("wrote {}\n", *command.file);
  return kOk;
}

}  // namespace

void add_topology(CLI::App& app, Session& session) {
  auto command = std::make_shared<TopologyCommand>();
  CLI::App* sub = app.add_subcommand(
      "topology", "Show what the fabric of a machine is like, what binds a traffic on it, draw it");
  command->machine.add_platform(*sub);
  sub->add_option("--traffic", command->traffic,
                  "Load of the links by a traffic, one of those below")
      ->type_name("NAME[:KEY=VALUE,...]");
  sub->add_option("--export", command->file,
                  "Write the graph (.graphml, .dot) or a drawing (.svg), with --traffic coloured "
                  "by load")
      ->type_name("FILE");
  add_model_option(*sub, command->model);
  command->machine.add_changes(*sub);
  sub->add_flag("--json", command->json, "Print JSON");
  sub->footer(
      "Traffics:\n"
      "  dispatch[:ep=DIES,tokens=N,skew=X], combine[:...]  token exchange, 128 tokens a die\n"
      "  alltoall[:ep=DIES,tokens=N], allgather[:...]       hidden states\n"
      "  kv[:tokens=N,prefill=DIES,decode=DIES]             every prefill die to every decode die\n"
      "  cache[:tokens=N]                                   every die reads from every CPU\n"
      "  (kv and cache: plane=ub|rdma|vpc too)\n"
      "  pairs:FILE                                         CSV: from,to,bytes\n"
      "Examples:\n"
      "  cmsim topology platforms/cloudmatrix384.json --traffic dispatch:ep=320,tokens=128\n"
      "  cmsim topology platforms/cloudmatrix384.json --set /nodes=24 --export half.svg\n"
      "  cmsim topology cloudmatrix384 --fail plane:3 --traffic dispatch:ep=320\n"
      "  cmsim topology platforms/cloudmatrix384.json --traffic pairs:moves.csv --json");
  sub->callback([command, sub, &session] {
    session.action = [command, sub] {
      const bool needs_model = command->traffic && !command->traffic->starts_with("pairs");
      refuse_idle(*sub, {{{"--model"}, !needs_model, "without a --traffic of its bytes"}});
      return execute(*command);
    };
  });
}

}  // namespace cmsim::cli
