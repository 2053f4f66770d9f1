#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cmsim/base/files.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/metrics/breakdown_json.hpp"
#include "cmsim/run/chrome_trace.hpp"
#include "cmsim/run/file_kind.hpp"
#include "cmsim/run/shipped.hpp"
#include "cmsim/run/step.hpp"
#include "cmsim/work/gzip.hpp"
#include "commands.hpp"
#include "fault_options.hpp"
#include "provenance.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

struct StepCommand {
  std::string scenario, phase;
  run::StepSpec spec;
  FaultOptions faults;
  std::vector<std::string> sets;
  std::optional<std::string> trace;
  bool json = false;
  bool list = false;

  /// Of the two roles one is exercised: keys of the other have no effect here.
  std::vector<run::Setting> settings() const {
    std::vector<run::Setting> settings = run::settings_of(sets);
    settings.push_back({"/workload/role=" + phase, "--phase " + phase});
    for (run::Setting& setting : faults.settings()) settings.push_back(std::move(setting));
    return settings;
  }
};

std::string us(Seconds seconds) { return fmt::format("{:.1f}", seconds * 1e6); }

void print_title(const std::string& text, Paint paint) {
  print("\n{}\n", styled(text, Style::kBold, paint));
}

const char* to_string(model::SharedHosting hosting) {
  switch (hosting) {
    case model::SharedHosting::kEveryRank:
      return "every_rank";
    case model::SharedHosting::kDedicatedRanks:
      return "dedicated_ranks";
    case model::SharedHosting::kNone:
      break;
  }
  return nullptr;
}

std::string describe(const model::ExpertLayout& l) {
  const auto slots = [](int least, int most) {
    return (least == most ? std::string() : fmt::format("{} or ", least)) +
           fmt::format("{} slot{}", most, most == 1 ? "" : "s");
  };
  std::string text = fmt::format("Experts of a layer: {} + {} redundant, {} on each of {} ranks",
                                 l.routed_slots - l.redundant, l.redundant,
                                 slots(l.least_slots(), l.most_slots()), l.routed_ranks);
  if (l.shared_hosting == model::SharedHosting::kEveryRank) text += ", all with the shared expert";
  if (l.shared_hosting == model::SharedHosting::kDedicatedRanks) {
    text += fmt::format(", {} ranks with the shared expert", l.shared_copies);
    if (l.shared_slots > 0) {
      text += " and " + slots(l.least_shared_slots(), l.most_shared_slots());
    }
  }
  return text;
}

nlohmann::ordered_json to_json(const model::ExpertLayout& l) {
  nlohmann::ordered_json json{{"routed", l.routed_slots - l.redundant}, {"redundant", l.redundant}};
  json["routed_ranks"] = l.routed_ranks;
  json["slots_per_rank"] = {l.least_slots(), l.most_slots()};
  const char* shared_on = to_string(l.shared_hosting);
  json["shared_on"] = shared_on != nullptr ? nlohmann::ordered_json(shared_on) : nullptr;
  json["shared_copies"] = l.shared_copies;
  json["slots_beside_shared"] = {l.least_shared_slots(), l.most_shared_slots()};
  return json;
}

void print_head(const run::StepReport& report) {
  const model::StepBreakdown& b = report.breakdown;
  const model::Architecture& model = report.model;
  print("{}: {:.1f} B parameters, {:.1f} B of them for one token; {} B of KV a token\n", model.name,
        model.parameters() / 1e9, model.active_parameters() / 1e9,
        grouped(report.kv_bytes_per_token));
  const bool decode = report.phase == run::StepPhase::kDecode;
  const std::string apart = report.expert_dies > 0
                                ? fmt::format(" with experts on {} other dies", report.expert_dies)
                                : "";
  const std::string prompts =
      report.prompt_tokens_per_npu > 0
          ? fmt::format(", and {} prompt tokens per NPU", grouped(report.prompt_tokens_per_npu))
          : "";
  print("One {} of {} ranks{}: {} {} per NPU, {} {} tokens{}\n",
        decode ? "decode iteration" : "prefill batch", report.ranks, apart,
        grouped(report.batch_per_npu), decode ? "sequences" : "tokens",
        decode ? "context" : "prompts of", grouped(report.context), prompts);
  print("{:.3f} ms, a {} layer {} us, {} microbatch{}", b.duration * 1e3,
        b.moe_layers > 0 ? "MoE" : "dense", us(b.layer), b.microbatches,
        b.microbatches == 1 ? "" : "es");
  if (decode && b.microbatches > 1 && report.expert_dies == 0) {
    print(", attention on {} AIC and {} AIV cores", b.attention_aic, b.attention_aiv);
  }
  print("\n{}\n", describe(report.experts));
  if (!report.network_note.empty()) print("{}\n", report.network_note);
}

void print_operators(const model::StepBreakdown& b, Paint paint) {
  const char* title = b.moe_layers > 0 ? "MoE layer operator" : "Layer operator";
  print_title(fmt::format("{:<20}{:<12}{:>10}{:>14}{:>12}", title, "track", "alone us",
                          "in place us", "HBM MB"),
              paint);
  for (const model::OperatorTime& op : b.operators) {
    print("  {:<18}{:<12}{:>10}{:>14}{:>12.2f}\n", op.name, op.track, us(op.alone), us(op.duration),
          op.hbm_bytes / 1e6);
  }
  for (const auto& [name, time] : b.streams) {
    print("  {:<18}{:<12}{:>10}{:>14}\n", "sum", name, "", us(time));
  }
}

/// What each operator of a layer asks of the die, and what it takes for that alone.
void print_list(const run::StepReport& report, Paint paint) {
  print_title(fmt::format("{:<15}{:<9}{:>8}{:>8}{:>8}{:>9}{:>8}{:>8}{:>7}", "Layer operator",
                          "unit", "8-bit", "BF16", "attn", "HBM", "cores", "HBM", "fixed"),
              paint);
  print("{:<26}{:>8}{:>8}{:>8}{:>9}{:>8}{:>8}{:>7}\n", "", "Gop", "Gop", "Gop", "MB", "us", "us",
        "us");
  for (const model::OperatorTime& op : report.breakdown.operators) {
    const model::OperatorWork& w = op.work;
    print("  {:<15}{:<9}{:>8.2f}{:>8.2f}{:>8.2f}{:>9.2f}{:>8}{:>8}{:>7}\n", op.name, op.unit,
          w.int8_ops / 1e9, w.bf16_ops / 1e9, (w.attention_ops + w.attention_int8_ops) / 1e9,
          op.hbm_bytes / 1e6, us(op.compute), us(op.memory), us(op.fixed));
  }
  print(
      "Of one microbatch on the rank that paces the step; an exchange's time on the wire is under "
      "cores.\n");
}

nlohmann::ordered_json list_json(const run::StepReport& report) {
  nlohmann::ordered_json operators = nlohmann::ordered_json::array();
  for (const model::OperatorTime& op : report.breakdown.operators) {
    operators.push_back({{"name", op.name},
                         {"unit", op.unit},
                         {"ops_8bit", op.work.int8_ops},
                         {"ops_bf16", op.work.bf16_ops},
                         {"ops_attention", op.work.attention_ops + op.work.attention_int8_ops},
                         {"hbm_bytes", op.hbm_bytes},
                         {"compute_us", op.compute * 1e6},
                         {"memory_us", op.memory * 1e6},
                         {"fixed_us", op.fixed * 1e6},
                         {"alone_us", op.alone * 1e6}});
  }
  return operators;
}

/// Rows "name, time, share of the step".
void print_shares(const std::string& title,
                  const std::vector<std::pair<std::string, Seconds>>& rows, Seconds duration,
                  Paint paint) {
  print_title(fmt::format("{:<32}{:>10}{:>14}", title, "us", "of the step"), paint);
  for (const auto& [name, time] : rows) {
    print("  {:<30}{:>10}{:>14}\n", name, us(time), percent(time / duration));
  }
}

void print_report(const run::StepReport& report, const std::string& borrowed, Paint paint) {
  const model::StepBreakdown& b = report.breakdown;
  print_head(report);
  if (!borrowed.empty()) print("{}\n", borrowed);
  print_operators(b, paint);
  print_shares("Part of the step",
               {{"host", b.host},
                {"dense layers", b.dense_layers},
                {"MoE layers", b.moe_layers},
                {"LM head and sampling", b.head},
                {"MTP", b.mtp}},
               b.duration, paint);
  print_shares("Critical path", b.critical_path, b.duration, paint);
  print_shares("Lost to",
               {{"uneven expert load", b.losses.imbalance},
                {"exposed communication", b.losses.communication},
                {"operator launch and host", b.losses.launch},
                {"jitter at barriers", b.losses.jitter}},
               b.duration, paint);
}

nlohmann::ordered_json to_json(const run::StepReport& report, nlohmann::ordered_json provenance) {
  nlohmann::ordered_json json{
      {"phase", run::to_string(report.phase)},
      {"ranks", report.ranks},
      {"expert_dies", report.expert_dies},
      {"batch_per_npu", report.batch_per_npu},
      {"context", report.context},
      {"model",
       {{"name", report.model.name},
        {"parameters", std::llround(report.model.parameters())},
        {"active_parameters", std::llround(report.model.active_parameters())},
        {"kv_bytes_per_token", report.kv_bytes_per_token}}},
      {"experts", to_json(report.experts)},
      {"network_note", report.network_note}};
  if (report.prompt_tokens_per_npu > 0) {
    json["prompt_tokens_per_npu"] = report.prompt_tokens_per_npu;
  }
  json.update(metrics::to_json(report.breakdown));
  json["provenance"] = std::move(provenance);
  return json;
}

int execute(const StepCommand& command, const CLI::App& sub,
            const serve::PolicyRegistry& registry) {
  if (command.trace) check_place_of(*command.trace);
  if (command.scenario != "-") {
    run::expect_kind(run::find_scenario(command.scenario), run::FileKind::kScenario);
  }
  const run::Scenario scenario = run::open_scenario(command.scenario, command.settings(), registry);
  const run::StepReport report = run::break_down_step(scenario, command.spec);
  if (command.trace) {
    const std::filesystem::path file = *command.trace;
    write_whole(file, work::packed_for(file, run::chrome_trace(report)));
  }
  if (command.json) {
    const auto provenance =
        provenance_json({"scenario", scenario.name, scenario.digest, scenario.borrowed}, sub);
    nlohmann::ordered_json json = to_json(report, provenance);
    if (command.list) json["operators"] = list_json(report);
    print("{}\n", json_text(json));
  } else if (command.list) {
    print_head(report);
    print_list(report, paint_for(Stream::kOut));
  } else {
    print_report(report, borrowed_note(scenario.borrowed), paint_for(Stream::kOut));
  }
  if (command.trace) {
    say("wrote {}: open it at https://ui.perfetto.dev\n", *command.trace);
  }
  return kOk;
}

}  // namespace

void add_step(CLI::App& app, Session& session) {
  auto command = std::make_shared<StepCommand>();
  CLI::App* sub =
      app.add_subcommand("step", "Break one decode iteration or prefill batch down into its parts");
  sub->add_option("SCENARIO", command->scenario, kScenarioHelp)->required();
  sub->add_option("--phase", command->phase, "Which step")
      ->required()
      ->check(CLI::IsMember({"decode", "prefill"}));
  sub->add_option("--batch", command->spec.batch,
                  "Per NPU: sequences (decode) or tokens (prefill) [the deployment's limit]")
      ->transform(whole_from(1));
  sub->add_option(
         "--context", command->spec.context,
         "Context of a sequence, or length of a prompt, in tokens [of the workload's fixed "
         "lengths, else 4096]")
      ->transform(whole_from(1));
  sub->add_option(
         "--prompt-tokens", command->spec.prompt_tokens,
         "Per NPU: tokens of prompts that mixed instances compute beside the sequences [0]")
      ->transform(whole_from(1));
  sub->add_option("--set", command->sets, "Change one key of the scenario (repeatable, in order)")
      ->type_name("/POINTER=VALUE")
      ->allow_extra_args(false);
  command->faults.add_to(*sub);
  sub->add_option("--trace", command->trace, "Write the step of one rank as a Chrome trace")
      ->type_name("FILE.json[.gz]");
  sub->add_flag("--list", command->list,
                "What each operator of a layer asks of the die: operations by precision, bytes, "
                "starts");
  sub->add_flag("--json", command->json, "Print JSON");
  sub->footer(
      "Examples:\n"
      "  cmsim step cloudmatrix384 --phase decode --context 4096\n"
      "  cmsim step cloudmatrix384 --phase prefill --trace step.json.gz\n"
      "  cmsim step cloudmatrix384 --phase decode --batch 8 \\\n"
      "      --set /decode/microbatches=1 --json");
  sub->callback([command, sub, &session] {
    command->spec.phase =
        command->phase == "decode" ? run::StepPhase::kDecode : run::StepPhase::kPrefill;
    session.action = [command, sub, &session] { return execute(*command, *sub, session.registry); };
  });
}

}  // namespace cmsim::cli
