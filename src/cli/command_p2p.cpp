#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cmsim/base/config.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/coll/fabric.hpp"
#include "cmsim/engine/p2p.hpp"
#include "cmsim/run/digest.hpp"
#include "cmsim/run/shipped.hpp"
#include "commands.hpp"
#include "platform_options.hpp"
#include "provenance.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

struct P2pCommand {
  PlatformOptions machine;
  std::string from, to, bytes, op = "read", plane = "ub";
  bool json = false;
};

Bytes read_bytes(const std::string& text) {
  try {
    return parse_bytes(text);
  } catch (const UnitError& error) {
    throw ConfigError({"--bytes " + text, 0, ""}, error.what());
  }
}

hw::Endpoint read_endpoint(const char* option, const std::string& text) {
  try {
    return hw::parse_endpoint(text);
  } catch (const std::invalid_argument& error) {
    throw ConfigError({fmt::format("{} {}", option, text), 0, ""}, error.what());
  }
}

coll::Plane plane_of(const std::string& name) {
  if (name == "rdma") return coll::Plane::kRdma;
  return name == "vpc" ? coll::Plane::kVpc : coll::Plane::kUb;
}

struct Measurement {
  engine::P2pResult result;
  std::vector<std::string> path;
};

Measurement measure(const hw::Platform& platform, const coll::Transfer& transfer) {
  try {
    Measurement measurement;
    const coll::Fabric fabric(platform);
    const coll::Path path = fabric.path(coll::source_of(transfer), coll::destination_of(transfer),
                                        transfer.plane, transfer.op);
    for (const coll::PortId port : path.ports) {
      measurement.path.push_back(fabric.name_of(port));
    }
    measurement.result = engine::measure_p2p(platform, transfer.initiator, transfer.target,
                                             transfer.bytes, transfer.op, transfer.plane);
    return measurement;
  } catch (const std::invalid_argument& error) {
    throw ConfigError(error.what());
  }
}

int execute(const P2pCommand& command, const CLI::App& sub) {
  const ConfigDocument document = command.machine.document();
  const hw::Platform platform = hw::read_platform(ConfigNode(document));
  const coll::Transfer transfer{read_endpoint("--from", command.from),
                                read_endpoint("--to", command.to), read_bytes(command.bytes),
                                plane_of(command.plane),
                                command.op == "read" ? coll::Op::kRead : coll::Op::kWrite};
  const Measurement measured = measure(platform, transfer);
  const std::vector<std::string> borrowed = borrowed_below(platform, {"/" + command.plane + "/"});
  const double time_us = measured.result.seconds * 1e6;
  const double latency_us = measured.result.latency * 1e6;
  const double gigabytes = measured.result.bandwidth / 1e9;
  if (command.json) {
    run::Digest digest;
    digest.add(run::without_costs(document.value()).dump());
    const nlohmann::ordered_json json{
        {"from", hw::to_string(transfer.initiator)},
        {"to", hw::to_string(transfer.target)},
        {"op", command.op},
        {"plane", command.plane},
        {"bytes", transfer.bytes},
        {"time_us", time_us},
        {"bandwidth_gb_per_s", gigabytes},
        {"latency_us", latency_us},
        {"path", measured.path},
        {"provenance",
         provenance_json({"platform", command.machine.platform, digest.hex(), borrowed}, sub)}};
    print("{}\n", json_text(json));
    return kOk;
  }
  print("{} {} {}, {} bytes over the {} plane\n", hw::to_string(transfer.initiator),
        command.op == "read" ? "reads from" : "writes to", hw::to_string(transfer.target),
        grouped(transfer.bytes), command.plane);
  print(
      "time       {:.3f} us\nbandwidth  {:.2f} GB/s\nlatency    {:.3f} us at 512 B\npath       "
      "{}\n",
      time_us, gigabytes, latency_us,
      measured.path.empty() ? "inside one endpoint"
                            : fmt::format("{}", fmt::join(measured.path, " -> ")));
  if (!borrowed.empty()) print("{}\n", borrowed_note(borrowed));
  return kOk;
}

}  // namespace

void add_p2p(CLI::App& app, Session& session) {
  auto command = std::make_shared<P2pCommand>();
  CLI::App* sub = app.add_subcommand("p2p", "Measure one transfer alone on the machine");
  command->machine.add_platform(*sub);
  sub->add_option("--from", command->from, "Initiator, e.g. 0, die:17 or cpu:3")->required();
  sub->add_option("--to", command->to, "The other end")->required();
  sub->add_option("--bytes", command->bytes, "Size, e.g. 512, 64MB or 1GiB")->required();
  sub->add_option("--op", command->op, "read: data comes to --from; write: it goes to --to")
      ->check(CLI::IsMember({"read", "write"}))
      ->capture_default_str();
  sub->add_option("--plane", command->plane, "Network")
      ->check(CLI::IsMember({"ub", "rdma", "vpc"}))
      ->capture_default_str();
  command->machine.add_changes(*sub);
  sub->add_flag("--json", command->json, "Print JSON");
  sub->footer(
      "Examples:\n"
      "  cmsim p2p cloudmatrix384 --from die:0 --to die:16 --bytes 1GB\n"
      "  cmsim p2p cloudmatrix384 --from 0 --to cpu:0 --bytes 512 --op write "
      "--json");
  sub->callback([command, sub, &session] {
    session.action = [command, sub] { return execute(*command, *sub); };
  });
}

}  // namespace cmsim::cli
