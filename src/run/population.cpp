#include "population.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/base/random.hpp"
#include "decode_mix.hpp"

namespace cmsim::run {
namespace {

using work::Trace;
using work::TraceRow;

/// Age of request `number` as a share of its output: stratified within each rank's share, so that
/// ages are uniform over all and on each rank when requests are dealt to ranks in turn.
double stratified_age(std::int64_t number, std::int64_t population, std::int64_t ranks) {
  constexpr double kGolden = 0.6180339887498949;  // fractional multiples are spread evenly
  const std::int64_t strata = (population + ranks - 1) / ranks;
  const double jitter = static_cast<double>(number % ranks) * kGolden + 0.5;
  const double within = jitter - std::floor(jitter);
  return (static_cast<double>(number / ranks) + within) / static_cast<double>(strata);
}

/// Little's fixed point: what comes grows with N more slowly than N.
std::span<const DecodeMix::Member> population_of(const DecodeMix& mix, double tokens_per_second) {
  const double iterations_per_second = tokens_per_second / mix.tokens_per_step();
  const std::size_t count = mix.most(
      [&](std::size_t n) { return static_cast<double>(n) <= iterations_per_second * mix.step(n); });
  return mix.members().first(count);
}

void add_open_population(Trace& trace, const Scenario& scenario, const StepModels& models) {
  if (!(trace.duration() > 0)) {
    throw ConfigError({"", 0, "/workload/population"},
                      "is stationary, but the requests come all at once; allowed is empty");
  }
  std::vector<Lengths> lengths;
  double output = 0;
  for (const TraceRow& row : trace.rows) {
    lengths.push_back({row.prompt_tokens, row.output_tokens, row.prompt_tokens});
    output += row.output_tokens;
  }
  const auto count = static_cast<double>(trace.rows.size());
  const double per_second = output * (count - 1) / count / trace.duration();
  const DecodeMix mix(lengths, scenario, models.decode_aged(scenario.options.experts.drift.age),
                      RandomStream(scenario.seed, "run/population"));
  std::vector<TraceRow> rows;
  for (const DecodeMix::Member& member : population_of(mix, per_second)) {
    TraceRow row = trace.rows[member.drawn];
    row.arrival = trace.rows.front().arrival;
    row.block_count = 0;
    rows.push_back(row);
    trace.progress.push_back(member.age);
  }
  trace.rows.insert(trace.rows.begin(), rows.begin(), rows.end());
  if (trace.waits.empty()) return;
  for (work::Wait& wait : trace.waits) {
    if (wait.after >= 0) wait.after += static_cast<std::int32_t>(rows.size());
  }
  trace.waits.insert(trace.waits.begin(), rows.size(), {});
}

}  // namespace

void add_population(Trace& trace, const Scenario& scenario, const StepModels& models) {
  if (scenario.workload.arrivals.kind != work::ArrivalKind::kClosedLoop) {
    add_open_population(trace, scenario, models);
    return;
  }
  const serve::DeploymentSpec& deployment = scenario.deployment;
  const std::int64_t ranks = std::int64_t{deployment.decode_instances()} * models.decode->ranks();
  const std::int64_t population =
      std::min({scenario.workload.arrivals.concurrency, deployment.decode_slots(),
                static_cast<std::int64_t>(trace.rows.size())});
  for (std::int64_t i = 0; i < population; ++i) {
    trace.progress.push_back(stratified_age(i, population, ranks));
  }
}

}  // namespace cmsim::run
