#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "cmsim/base/config.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/coll/fabric.hpp"
#include "cmsim/run/collective.hpp"
#include "cmsim/run/digest.hpp"
#include "cmsim/run/shipped.hpp"
#include "commands.hpp"
#include "option_rules.hpp"
#include "platform_options.hpp"
#include "provenance.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

struct CollectiveCommand {
  PlatformOptions machine;
  std::string model, op, network = "analytic", exchange = "fused";
  run::CollectiveSpec spec;
  bool json = false;
};

run::CollectiveSpec spec_of(const CollectiveCommand& command) {
  run::CollectiveSpec spec = command.spec;
  for (const auto op : {run::CollectiveOp::kDispatch, run::CollectiveOp::kCombine,
                        run::CollectiveOp::kAllGather, run::CollectiveOp::kAllToAll}) {
    if (command.op == run::to_string(op)) spec.op = op;
  }
  for (const auto network :
       {coll::Network::kAnalytic, coll::Network::kHose, coll::Network::kFlow}) {
    if (command.network == coll::to_string(network)) spec.network = network;
  }
  if (command.exchange == "basic") spec.exchange = model::ExchangeKind::kBasic;
  if (command.exchange == "two_level") spec.exchange = model::ExchangeKind::kTwoLevel;
  return spec;
}

bool exchanges_tokens(const run::CollectiveSpec& spec) {
  return spec.op == run::CollectiveOp::kDispatch || spec.op == run::CollectiveOp::kCombine;
}

/// One flow a pair costs minutes of CPU on a large group: say so before starting.
void warn_of_cost(const hw::Platform& platform, const run::CollectiveSpec& spec) {
  if (spec.network != coll::Network::kFlow) return;
  const double seconds = run::flow_rung_cpu_seconds(spec.ranks, platform.ub.spread);
  if (seconds < 5) return;
  say("cmsim: the flow rung simulates {} flows; expect some {} s of CPU (Ctrl-C ends it, "
      "--network hose takes milliseconds)\n",
      grouped(static_cast<std::int64_t>(spec.ranks) * (spec.ranks - 1)), std::lround(seconds));
}

nlohmann::ordered_json to_json(const CollectiveCommand& command, const run::CollectiveSpec& spec,
                               const run::CollectiveResult& result) {
  const auto us = [](Seconds seconds) { return seconds * 1e6; };
  nlohmann::ordered_json links = nlohmann::ordered_json::array();
  for (const coll::BusyLink& link : result.busiest) {
    links.push_back({{"class", link.cls},
                     {"name", link.name},
                     {"bytes", link.bytes},
                     {"utilisation", link.utilisation}});
  }
  nlohmann::ordered_json json{{"op", command.op}, {"ep", spec.ranks}, {"tokens", spec.tokens}};
  json["exchange"] = exchanges_tokens(spec) ? command.exchange : "sdma";
  json["network"] = command.network;
  json["latency_us"] = us(result.time.total());
  json["parts"] = {{"startup_us", us(result.time.startup)},
                   {"issue_us", us(result.time.issue)},
                   {"wire_us", us(result.time.wire)},
                   {"local_us", us(result.time.local)}};
  json["bound_by"] = result.bound_by;
  json["bytes_per_rank"] = result.bytes_per_rank;
  json["straggler_rows"] = result.straggler_rows;
  json["mean_rows"] = result.mean_rows;
  json["bandwidth_gb_per_s"] = result.bandwidth() / 1e9;
  json["busiest_links"] = std::move(links);
  return json;
}

void print_table(const CollectiveCommand& command, const run::CollectiveSpec& spec,
                 const run::CollectiveResult& result) {
  const auto row = [](const char* name, const std::string& text) {
    print("{:<12}{}\n", name, text);
  };
  const model::ExchangeTime& time = result.time;
  print("{} of {} tokens per rank, EP{}, {}, network {}\n", command.op, grouped(spec.tokens),
        spec.ranks, exchanges_tokens(spec) ? command.exchange + " exchange" : "SDMA",
        command.network);
  row("latency", fmt::format("{:.2f} us = start-up + max(issue, wire) + local, bound by {}",
                             time.total() * 1e6, result.bound_by));
  row("  start-up", fmt::format("{:>9.2f} us", time.startup * 1e6));
  row("  issue", fmt::format("{:>9.2f} us", time.issue * 1e6));
  row("  wire", fmt::format("{:>9.2f} us", time.wire * 1e6));
  row("  local", fmt::format("{:>9.2f} us", time.local * 1e6));
  row("bandwidth", fmt::format("{:.2f} GB/s for {} nominal bytes a rank", result.bandwidth() / 1e9,
                               grouped(std::llround(result.bytes_per_rank))));
  if (exchanges_tokens(spec)) {
    row("rows", fmt::format("{:.1f} on the busiest rank, {:.1f} on average", result.straggler_rows,
                            result.mean_rows));
  }
  for (const coll::BusyLink& link : result.busiest) {
    row(&link == &result.busiest.front() ? "links" : "",
        fmt::format("{:<32}{:>8} of the latency, {} bytes", link.name, percent(link.utilisation),
                    grouped(std::llround(link.bytes))));
  }
}

int execute(const CollectiveCommand& command, const CLI::App& sub) {
  const ConfigDocument document = command.machine.document();
  const hw::Platform platform = hw::read_platform(ConfigNode(document));
  const std::filesystem::path model =
      run::find_model(command.model, run::find_platform(command.machine.platform));
  const model::Architecture architecture = model::load_architecture(model);
  const run::CollectiveSpec spec = spec_of(command);
  warn_of_cost(platform, spec);
  try {
    const run::CollectiveResult result = run::measure_collective(platform, architecture, spec);
    const std::vector<std::string> borrowed = borrowed_below(
        platform, {"/die", "/ub", "/rdma", "/token_exchange", "/operators/hbm_efficiency"});
    if (command.json) {
      run::Digest digest;
      digest.add(run::without_costs(document.value()).dump());
      digest.add(ConfigDocument::from_file(model).value().dump());
      auto json = to_json(command, spec, result);
      json["provenance"] =
          provenance_json({"platform", command.machine.platform, digest.hex(), borrowed}, sub);
      print("{}\n", json_text(json));
    } else {
      print_table(command, spec, result);
      if (!borrowed.empty()) print("{}\n", borrowed_note(borrowed));
    }
  } catch (const std::invalid_argument& error) {
    throw ConfigError(error.what());
  }
  return kOk;
}

}  // namespace

void add_collective(CLI::App& app, Session& session) {
  auto command = std::make_shared<CollectiveCommand>();
  CLI::App* sub = app.add_subcommand("collective", "Measure one collective alone on the machine");
  command->machine.add_platform(*sub);
  sub->add_option("--op", command->op, "What is exchanged")
      ->required()
      ->check(CLI::IsMember({"dispatch", "combine", "allgather", "alltoall"}));
  sub->add_option("--ep", command->spec.ranks, "Ranks: dies 0 to N-1")
      ->required()
      ->transform(whole_from(0, INT32_MAX));
  sub->add_option("--tokens", command->spec.tokens, "Tokens of each rank")
      ->required()
      ->transform(whole_from(0));
  sub->add_option("--network", command->network, "Fidelity of the fabric")
      ->check(CLI::IsMember({"analytic", "hose", "flow"}))
      ->capture_default_str();
  sub->add_option("--exchange", command->exchange, "How dispatch and combine are done")
      ->check(CLI::IsMember({"fused", "basic", "two_level"}))
      ->capture_default_str();
  sub->add_option("--skew", command->spec.skew,
                  "Spread of expert popularity: 1 = measured, 0 = uniform")
      ->capture_default_str();
  sub->add_option("--aiv", command->spec.aiv_cores, "AIV cores given to the exchange [all]")
      ->transform(whole_from(0, INT32_MAX));
  sub->add_option("--top-k", command->spec.top_k, "Experts of a token [the model's]")
      ->transform(whole_from(0, INT32_MAX));
  sub->add_option("--seed", command->spec.seed, "Seed of the popularity")
      ->transform(whole_from(0))
      ->capture_default_str();
  add_model_option(*sub, command->model);
  command->machine.add_changes(*sub);
  sub->add_flag("--json", command->json, "Print JSON");
  sub->footer(
      "Examples:\n"
      "  cmsim collective cloudmatrix384 --op dispatch --ep 256 --tokens 128\n"
      "  cmsim collective cloudmatrix384 --op combine --ep 64 --tokens 96 \\\n"
      "      --skew 1 --network flow --set /ub/spread=hash --json");
  sub->callback([command, sub, &session] {
    const bool sdma = command->op == "allgather" || command->op == "alltoall";
    session.action = [command, sub, sdma] {
      refuse_idle(*sub, {{{"--exchange", "--skew", "--aiv", "--top-k", "--seed"},
                          sdma,
                          "with --op " + command->op + ", it needs dispatch or combine"},
                         {{"--seed"},
                          command->spec.skew == 0,
                          "with --skew 0, experts that are equally popular"}});
      return execute(*command, *sub);
    };
  });
}

}  // namespace cmsim::cli
