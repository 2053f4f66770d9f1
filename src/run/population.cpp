#include "population.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/base/random.hpp"
#include "cmsim/serve/mtp.hpp"

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

struct Member {
  std::size_t row = 0;
  double age = 0;
};

/// Rows drawn in proportion to their output, with uniform ages.
std::vector<Member> draw_members(const Trace& trace, std::int64_t count, std::uint64_t seed) {
  std::vector<double> sum(trace.rows.size());
  double total = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = total += trace.rows[i].output_tokens;
  RandomStream random(seed, "run/population");
  std::vector<Member> members;
  for (std::int64_t i = 0; i < count; ++i) {
    const double point = random.uniform() * total;
    const auto row = static_cast<std::size_t>(std::ranges::upper_bound(sum, point) - sum.begin());
    members.push_back({std::min(row, sum.size() - 1), random.uniform()});
  }
  return members;
}

class OpenStream {
 public:
  OpenStream(const Trace& trace, const Scenario& scenario, const StepModels& models)
      : trace_(trace),
        model_(*models.decode),
        members_(draw_members(trace, scenario.deployment.decode.slots(), scenario.seed)) {
    deal(static_cast<std::size_t>(model_.experts().layout().ranks) *
             static_cast<std::size_t>(scenario.deployment.decode.instances),
         static_cast<std::int32_t>(scenario.deployment.decode.max_num_seqs /
                                   scenario.platform.dies_per_npu));
    const model::DecodeOptions& decode = scenario.options.decode;
    double output = 0;
    for (const TraceRow& row : trace.rows) output += row.output_tokens;
    const auto rows = static_cast<double>(trace.rows.size());
    iterations_per_second_ =
        output / serve::mean_tokens_per_iteration({decode.draft_tokens, decode.acceptance}) *
        (rows - 1) / rows / trace.duration();
  }

  /// Little's fixed point, by bisection: what comes grows with N more slowly than N.
  std::span<const Member> population() const {
    std::size_t low = 0, high = ranks_of_.size();
    while (low < high) {
      const std::size_t middle = (low + high + 1) / 2;
      if (static_cast<double>(middle) <= iterations_per_second_ * step(middle)) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return std::span(members_).first(low);
  }

 private:
  Tokens context(const Member& member) const {
    const TraceRow& row = trace_.rows[member.row];
    return row.prompt_tokens + static_cast<Tokens>(member.age * row.output_tokens);
  }

  /// Of the first instance, when the first n members have come.
  Seconds step(std::size_t n) const {
    const auto ranks = static_cast<std::size_t>(model_.experts().layout().ranks);
    std::vector<std::int32_t> sequences(ranks, 0);
    std::vector<std::int64_t> tokens(ranks, 0);
    for (std::size_t i = 0; i < n; ++i) {
      if (ranks_of_[i] >= ranks) continue;
      ++sequences[ranks_of_[i]];
      tokens[ranks_of_[i]] += context(members_[i]);
    }
    return model_.iteration({sequences, tokens}).duration;
  }

  /// Each member in turn goes to the rank that has the least KV and a slot, for as long as its KV
  /// leaves a twentieth of the rank's space to grow into.
  void deal(std::size_t ranks, std::int32_t slots) {
    using Rank = std::pair<Tokens, std::size_t>;
    std::priority_queue<Rank, std::vector<Rank>, std::greater<>> free;
    std::vector<std::int32_t> taken(ranks, 0);
    for (std::size_t rank = 0; rank < ranks; ++rank) free.emplace(0, rank);
    for (const Member& member : members_) {
      if (free.empty()) return;
      const auto [held, rank] = free.top();
      const Tokens holds = held + context(member);
      if (holds > model_.kv_capacity_per_die() * 19 / 20) return;
      free.pop();
      ranks_of_.push_back(rank);
      if (++taken[rank] < slots) free.emplace(holds, rank);
    }
  }

  const Trace& trace_;
  const model::DecodePipeline& model_;
  std::vector<Member> members_;
  std::vector<std::size_t> ranks_of_;  // of the members that find a place
  double iterations_per_second_ = 0;   // that arrivals ask for
};

void add_open_population(Trace& trace, const Scenario& scenario, const StepModels& models) {
  if (!(trace.duration() > 0)) {
    throw ConfigError({"", 0, "/workload/population"},
                      "is stationary, but the requests come all at once; allowed is empty");
  }
  const OpenStream stream(trace, scenario, models);
  std::vector<TraceRow> rows;
  for (const Member& member : stream.population()) {
    TraceRow row = trace.rows[member.row];
    row.arrival = trace.rows.front().arrival;
    row.block_count = 0;
    rows.push_back(row);
    trace.progress.push_back(member.age);
  }
  trace.rows.insert(trace.rows.begin(), rows.begin(), rows.end());
}

}  // namespace

void add_population(Trace& trace, const Scenario& scenario, const StepModels& models) {
  if (scenario.workload.arrivals.kind != work::ArrivalKind::kClosedLoop) {
    add_open_population(trace, scenario, models);
    return;
  }
  const serve::DecodeSpec& decode = scenario.deployment.decode;
  const std::int64_t ranks =
      std::int64_t{decode.instances} * models.decode->experts().layout().ranks;
  const std::int64_t population = std::min({scenario.workload.arrivals.concurrency, decode.slots(),
                                            static_cast<std::int64_t>(trace.rows.size())});
  for (std::int64_t i = 0; i < population; ++i) {
    trace.progress.push_back(stratified_age(i, population, ranks));
  }
}

}  // namespace cmsim::run
