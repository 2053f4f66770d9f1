// A whole scenario (platform and model inline), or assignments ("/pointer=value", one a line) to a
// small one when the input begins with '/': either a scenario or a ConfigError comes out. The step
// models that loading builds must plan their memory and time a small batch, and what loads twice
// has one digest.
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cmsim/run/scenario.hpp"
#include "formats.hpp"
#include "oracle.hpp"
#include "run/step_models.hpp"

namespace {

using cmsim::fuzz::require;
using cmsim::fuzz::Vocabulary;
namespace model = cmsim::model;
namespace run = cmsim::run;

constexpr std::size_t kMostRanks = 4096;  // a step over more costs time and shows nothing new

bool positive(double value) { return value > 0 && std::isfinite(value); }

void check_memory(const model::MemoryPlan& plan) {
  require(plan.weights > 0 && plan.buffers >= 0 && plan.reserved >= 0, "parts are not negative");
  require(positive(plan.capacity) && plan.free() > 0, "what is planned fits the HBM");
  require(positive(plan.kv_bytes_per_token) && plan.kv_tokens() > 0, "there is room for KV");
}

/// Few sequences a rank, but enough for every microbatch where slots allow it.
void check_decode(const model::DecodePipeline& decode, const run::Scenario& scenario) {
  check_memory(decode.memory());
  const auto ranks = static_cast<std::size_t>(decode.experts().layout().ranks);
  if (ranks > kMostRanks) return;
  const std::int32_t sequences = std::min(4, scenario.deployment.decode.most_slots_on_a_rank());
  const std::vector<std::int32_t> counts(ranks, sequences);
  const std::vector<std::int64_t> contexts(ranks, std::int64_t{sequences} * 16);
  const model::DecodeIteration step = decode.iteration({counts, contexts});
  require(positive(step.duration), "a decode step takes a positive, finite time");
  require(step.bytes_per_die.hbm > 0 && step.bytes_per_die.ub >= 0, "a decode step moves bytes");
}

void check_prefill(const model::PrefillPipeline& prefill) {
  check_memory(prefill.memory());
  const std::vector<model::PrefillSequence> sequences{{16, 0}, {1, 16}};
  const model::PrefillIteration step = prefill.batch({sequences});
  require(positive(step.duration), "a prefill batch takes a positive, finite time");
  require(step.bytes_per_die.hbm > 0 && step.bytes_per_die.ub >= 0, "a prefill batch moves bytes");
}

void check_models(const run::Scenario& scenario) {
  const run::StepModels models = run::make_step_models(scenario, run::make_role_experts(scenario));
  if (models.prefill != nullptr) check_prefill(*models.prefill);
  if (models.decode != nullptr) check_decode(*models.decode, scenario);
}

void check_scenario(const run::Scenario& scenario) {
  require(!scenario.digest.empty(), "a scenario has a digest");
  require(scenario.horizon >= 0, "the horizon is not negative");
  const auto& cache = scenario.deployment.cache;
  require(cache.dram_per_node >= 0 && cache.block_size >= 1 && cache.reuse <= 1,
          "the cache is within its bounds");
  require(!cache.enabled || cache.dram_per_node <= scenario.platform.dram_per_node,
          "the cache fits a node's DRAM");
  const auto& workload = scenario.workload;
  require(workload.requests >= 0 && workload.arrivals.concurrency >= 0 &&
              workload.prompt_length >= 0 && workload.output_length >= 0,
          "counts are not negative");
  require(std::isfinite(workload.arrivals.rate) && workload.arrivals.rate >= 0,
          "a rate is finite and not negative");
}

run::Scenario load(std::string_view input) {
  static const std::string kSmall = cmsim::fuzz::small_scenario().dump();
  if (!input.starts_with('/')) return run::parse_scenario(std::string(input), "fuzz.json");
  return run::parse_scenario(kSmall, "small.json", cmsim::fuzz::lines_of(input));
}

const Vocabulary& vocabulary() {
  static const Vocabulary kVocabulary = cmsim::fuzz::scenario_vocabulary();
  return kVocabulary;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kOneIn = 16;  // inputs that are loaded twice
  const std::string_view input = cmsim::fuzz::text_of(data, size);
  try {
    const run::Scenario scenario = load(input);
    if (!input.starts_with('/')) {
      cmsim::fuzz::require_valid(nlohmann::json::parse(input, nullptr, true, true),
                                 cmsim::fuzz::schema());
    }
    check_scenario(scenario);
    check_models(scenario);
    if (std::hash<std::string_view>()(input) % kOneIn == 0) {
      require(load(input).digest == scenario.digest, "a digest is that of the input");
    }
  } catch (const cmsim::ConfigError& error) {
    cmsim::fuzz::check_message(error);
  }
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  const bool lines = size > 0 && data[0] == '/' && !(size > 1 && data[1] == '/');
  const auto mutate = lines ? cmsim::fuzz::mutate_lines : cmsim::fuzz::mutate_document;
  return mutate(vocabulary(), data, size, max_size, seed);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size,
                                                 const std::uint8_t* other, std::size_t other_size,
                                                 std::uint8_t* out, std::size_t max_size,
                                                 unsigned seed) {
  const std::string_view first = cmsim::fuzz::text_of(one, one_size);
  const std::string_view second = cmsim::fuzz::text_of(other, other_size);
  if (first.starts_with('/') != second.starts_with('/')) return 0;
  const auto cross =
      first.starts_with('/') ? cmsim::fuzz::cross_lines : cmsim::fuzz::cross_documents;
  return cross(vocabulary(), first, second, out, max_size, seed);
}
