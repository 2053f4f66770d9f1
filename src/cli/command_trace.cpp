#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/base/json_text.hpp"
#include "cmsim/work/gzip.hpp"
#include "cmsim/work/synthesize.hpp"
#include "cmsim/work/trace_reader.hpp"
#include "cmsim/work/trace_summary.hpp"
#include "cmsim/work/trace_writer.hpp"
#include "commands.hpp"
#include "option_rules.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

/// What inspect and convert share: which trace, and how to read it.
struct Input {
  std::string file, start, end, max_bytes;
  work::ReadOptions options;
  int block_size = 0;

  void add_to(CLI::App& sub) {
    std::vector<std::string> formats = work::known_formats();
    formats.insert(formats.begin(), "auto");
    sub.add_option("FILE", file, "Trace file (plain, .gz or .zst) or ServeGen directory")
        ->required();
    sub.add_option("--format", options.format, "What the file is")
        ->check(CLI::IsMember(formats))
        ->capture_default_str();
    sub.add_option("--block-size", block_size, "Tokens a block [what the format's publisher used]")
        ->transform(whole_from(1, 1 << 20));
    sub.add_option("--start", start, "Leave out what arrives before, e.g. 600s");
    sub.add_option("--end", end, "Leave out what arrives at or after, e.g. 1h");
    sub.add_option("--seed", options.seed, "For formats from which requests are drawn (servegen)")
        ->transform(whole_from(0));
    sub.add_option("--max-requests", options.max_requests, "Keep the first so many")
        ->transform(whole_from(1));
    sub.add_option("--max-bytes", max_bytes, "Most the file may hold decompressed [8GB]");
  }

  /// What `parse` makes of an option's text. Throws ConfigError.
  template <class Parse>
  static auto read_option(const char* option, const std::string& text, const Parse& parse) {
    try {
      return parse(text);
    } catch (const UnitError& error) {
      throw ConfigError({fmt::format("{} {}", option, text), 0, ""}, error.what());
    }
  }

  static Seconds time(const char* option, const std::string& text, Seconds otherwise) {
    if (text.empty()) return otherwise;
    return read_option(option, text,
                       [](const std::string& t) { return parse_quantity(t, Dimension::kTime); });
  }

  work::Trace read(const CLI::App& sub) {
    if (block_size > 0) options.block_size = block_size;
    options.start = time("--start", start, options.start);
    options.end = time("--end", end, options.end);
    if (!max_bytes.empty()) options.max_bytes = read_option("--max-bytes", max_bytes, parse_bytes);
    work::Trace trace = work::read_trace(file, options);
    const std::string on = fmt::format("on {} ({}), ", file, trace.format);
    refuse_idle(sub, {{{"--seed"}, trace.format != "servegen", on + "from which nothing is drawn"},
                      {{"--block-size"}, !trace.has_blocks(), on + "without block ids"},
                      {{"--start", "--end"}, !trace.has_arrivals, on + "without time stamps"}});
    return trace;
  }
};

void deliver(const work::Trace& trace, const std::string& out) {
  std::ostringstream text;
  work::write_mooncake_jsonl(trace, text);
  if (out.empty()) {
    print_text(text.str());
  } else {
    write_whole(out, work::packed_for(out, text.str()));
    say("wrote {}: {} requests\n", out, trace.rows.size());
  }
}

void add_inspect(CLI::App& parent, Session& session) {
  struct Inspect : Input {
    std::vector<std::int64_t> cache_blocks;
    bool json = false;
  };
  auto command = std::make_shared<Inspect>();
  CLI::App* sub = parent.add_subcommand(
      "inspect", "Rows, duration, rates, lengths, and what a prefix cache could reuse");
  command->add_to(*sub);
  sub->add_option("--cache-blocks", command->cache_blocks,
                  "Cache sizes in blocks to try, 0 = unbounded (repeatable)")
      ->transform(whole_from(0))
      ->allow_extra_args(false);
  sub->add_flag("--json", command->json, "Print JSON");
  sub->footer(
      "Example: cmsim trace inspect mooncake_trace.jsonl.gz --cache-blocks 10000 --cache-blocks 0");
  sub->callback([command, sub, &session] {
    session.action = [command, sub] {
      const work::Trace trace = command->read(*sub);
      refuse_idle(*sub, {{{"--cache-blocks"},
                          !trace.has_blocks(),
                          "on a trace without block ids, in which nothing can be reused"}});
      const work::TraceSummary summary = command->cache_blocks.empty()
                                             ? work::summarize(trace)
                                             : work::summarize(trace, command->cache_blocks);
      print_text(command->json ? json_text(work::to_json(summary)) + "\n"
                               : work::format_table(summary));
      return kOk;
    };
  });
}

void add_convert(CLI::App& parent, Session& session) {
  struct Convert : Input {
    std::string out;
  };
  auto command = std::make_shared<Convert>();
  CLI::App* sub = parent.add_subcommand("convert", "Write any trace as Mooncake JSONL");
  command->add_to(*sub);
  sub->add_option("--out", command->out, "File to write [stdout]; .gz and .zst are compressed")
      ->type_name("FILE");
  sub->footer("Example: cmsim trace convert AzureLLMInferenceTrace_conv.csv --out azure.jsonl");
  sub->callback([command, sub, &session] {
    session.action = [command, sub] {
      if (!command->out.empty()) check_place_of(command->out);
      deliver(command->read(*sub), command->out);
      return kOk;
    };
  });
}

/// A length distribution as options: --prompt-mean, --prompt-cv, ...
void add_lengths(CLI::App& sub, const std::string& name, const char* what, work::LengthSpec& spec) {
  sub.add_option("--" + name + "-mean", spec.mean, fmt::format("{}: mean, tokens", what))
      ->capture_default_str();
  sub.add_option("--" + name + "-cv", spec.cv, "Standard deviation / mean; 0 = constant")
      ->capture_default_str();
  sub.add_option("--" + name + "-min", spec.minimum, "Shortest")
      ->transform(whole_from(0))
      ->capture_default_str();
  sub.add_option("--" + name + "-max", spec.maximum, "Longest")
      ->transform(whole_from(0))
      ->capture_default_str();
}

/// The spec knows its fields; the user knows options.
ConfigError by_option(const ConfigError& error) {
  static const std::map<std::string, std::string> kOptions{{"/arrivals/kind", "--arrivals"},
                                                           {"/arrivals/rate", "--rate"},
                                                           {"/arrivals/burstiness", "--burstiness"},
                                                           {"/prompt/minimum", "--prompt-min"},
                                                           {"/prompt/maximum", "--prompt-max"},
                                                           {"/prompt/mean", "--prompt-mean"},
                                                           {"/prompt/cv", "--prompt-cv"},
                                                           {"/output/minimum", "--output-min"},
                                                           {"/output/maximum", "--output-max"},
                                                           {"/output/mean", "--output-mean"},
                                                           {"/output/cv", "--output-cv"}};
  const std::string& pointer = error.where().pointer;
  if (pointer.empty()) return error;
  const auto found = kOptions.find(pointer);
  std::string option = found == kOptions.end() ? "-" + pointer : found->second;
  std::ranges::replace(option, '/', '-');
  std::ranges::replace(option, '_', '-');
  const std::string message = std::string(error.what()).substr(pointer.size() + 2);
  return ConfigError({.file = option, .line = 0, .pointer = ""}, message);
}

struct Synthesize {
  work::SynthesisSpec spec;
  std::uint64_t seed = 1;
  std::string arrivals = "poisson", duration, think_time, warm_up, out;

  /// What the spec has no use for.
  void check(const CLI::App& sub) const {
    const bool sessions = spec.continue_probability > 0, shared = spec.shared_probability > 0;
    refuse_idle(sub,
                {{{"--burstiness"},
                  arrivals != "gamma",
                  "with --arrivals " + arrivals + ", it needs gamma"},
                 {{"--think-time", "--answer-seconds-per-token"},
                  !sessions,
                  "on sessions of one turn, it needs --continue-probability above 0"},
                 {{"--shared-prompts", "--shared-blocks", "--zipf"},
                  !shared,
                  "without a shared prompt, it needs --shared-probability above 0"},
                 {{"--zipf"}, spec.shared_prompts == 1, "with one shared prompt"},
                 {{"--prompt-min", "--prompt-max"}, spec.prompt.cv == 0, "with --prompt-cv 0"},
                 {{"--output-min", "--output-max"}, spec.output.cv == 0, "with --output-cv 0"}});
  }

  work::Trace make() {
    spec.arrivals.kind = arrivals == "gamma"      ? work::ArrivalKind::kGamma
                         : arrivals == "constant" ? work::ArrivalKind::kConstant
                                                  : work::ArrivalKind::kPoisson;
    spec.duration = Input::time("--duration", duration, spec.duration);
    spec.think_time = Input::time("--think-time", think_time, spec.think_time);
    spec.warm_up = Input::time("--warm-up", warm_up, spec.warm_up);
    try {
      return work::synthesize(spec, seed);
    } catch (const ConfigError& error) {
      throw by_option(error);
    }
  }
};

void add_synthesize(CLI::App& parent, Session& session) {
  auto command = std::make_shared<Synthesize>();
  work::SynthesisSpec& spec = command->spec;
  CLI::App* sub = parent.add_subcommand(
      "synthesize", "Draw a trace with given arrival, length and prefix-sharing statistics");
  sub->add_option("--requests", spec.requests, "Stop after so many")->transform(whole_from(0));
  sub->add_option("--duration", command->duration, "Stop after this time, e.g. 10min");
  sub->add_option("--arrivals", command->arrivals, "Arrival process")
      ->check(CLI::IsMember({"poisson", "gamma", "constant"}))
      ->capture_default_str();
  sub->add_option("--rate", spec.arrivals.rate, "Requests per second")
      ->check(number_from(work::kLeastRate, work::kMostRate))
      ->capture_default_str();
  sub->add_option("--burstiness", spec.arrivals.burstiness, "gamma: shape b, CV = 1/sqrt(b)")
      ->capture_default_str();
  add_lengths(*sub, "prompt", "New tokens of a turn", spec.prompt);
  add_lengths(*sub, "output", "Output", spec.output);
  sub->add_option("--max-prompt", spec.max_prompt, "A session ends before a longer prompt")
      ->transform(whole_from(0))
      ->capture_default_str();
  sub->add_option("--continue-probability", spec.continue_probability,
                  "Chance that an answer is followed by another turn")
      ->capture_default_str();
  sub->add_option("--think-time", command->think_time, "Mean pause before it, e.g. 30s");
  sub->add_option("--answer-seconds-per-token", spec.answer_seconds_per_token,
                  "Assumed time of an answer")
      ->capture_default_str();
  sub->add_option("--warm-up", command->warm_up, "Drawn before time 0 and left out");
  sub->add_option("--shared-probability", spec.shared_probability,
                  "Chance that a session begins with a shared system prompt")
      ->capture_default_str();
  sub->add_option("--shared-prompts", spec.shared_prompts, "How many system prompts there are")
      ->transform(whole_from(0))
      ->capture_default_str();
  sub->add_option("--shared-blocks", spec.shared_blocks, "Length of each, in blocks")
      ->transform(whole_from(0))
      ->capture_default_str();
  sub->add_option("--zipf", spec.zipf, "The i-th most popular has weight i^-zipf")
      ->capture_default_str();
  sub->add_option("--block-size", spec.block_size, "Tokens a block")
      ->transform(whole_from(1, 1 << 20))
      ->capture_default_str();
  sub->add_option("--seed", command->seed, "Equal seeds give equal traces")
      ->transform(whole_from(0))
      ->capture_default_str();
  sub->add_option("--out", command->out, "File to write [stdout]; .gz and .zst are compressed")
      ->type_name("FILE");
  sub->footer(
      "Example:\n"
      "  cmsim trace synthesize --duration 5min --rate 20 --prompt-mean 1500 \\\n"
      "      --output-mean 800 --continue-probability 0.5 --out my-trace.jsonl");
  sub->callback([command, sub, &session] {
    session.action = [command, sub] {
      command->check(*sub);
      if (!command->out.empty()) check_place_of(command->out);
      deliver(command->make(), command->out);
      return kOk;
    };
  });
}

}  // namespace

void add_trace(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("trace", "Inspect, convert or make request traces");
  command->require_subcommand(1);
  add_inspect(*command, session);
  add_convert(*command, session);
  add_synthesize(*command, session);
}

}  // namespace cmsim::cli
