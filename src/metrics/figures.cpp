#include "cmsim/metrics/figures.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "cmsim/metrics/phases.hpp"
#include "cmsim/metrics/service.hpp"
#include "role_times.hpp"

namespace cmsim::metrics {
namespace {

using serve::Outcome;
using serve::RequestRecord;

constexpr double kMostLost = 0.01;  // share of a class, of which no mean speaks

struct Latencies {
  std::vector<double> ttfts, tpots;
  std::size_t lost = 0;  // rejected or failed: as late as can be
};

/// Holds the latencies of one class against its limits; changes the order of the samples.
void judge(std::vector<double>& samples, std::size_t lost, Seconds limit, SloVerdict& verdict) {
  const std::size_t finished = samples.size();
  const double all = static_cast<double>(finished + lost);
  if (all == 0) return;
  const bool few_lost = static_cast<double>(lost) <= kMostLost * all;
  const double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
  verdict.met_on_mean =
      verdict.met_on_mean && few_lost && sum / static_cast<double>(finished) <= limit;
  samples.resize(finished + lost, std::numeric_limits<double>::infinity());
  verdict.met_at_p99 = verdict.met_at_p99 && few_lost && nearest_rank(samples, 0.99) <= limit;
  std::erase(samples, std::numeric_limits<double>::infinity());
}

/// All classes in one.
Latencies joined(std::vector<Latencies> classes) {
  Latencies all = std::move(classes.front());
  for (std::size_t i = 1; i < classes.size(); ++i) {
    all.ttfts.insert(all.ttfts.end(), classes[i].ttfts.begin(), classes[i].ttfts.end());
    all.tpots.insert(all.tpots.end(), classes[i].tpots.begin(), classes[i].tpots.end());
  }
  return all;
}

serve::LatencyLimits limits_of(const SystemFacts& facts, std::size_t request_class) {
  if (facts.classes.empty()) return {facts.slo.ttft, facts.slo.tpot};
  return facts.classes[request_class].limits;
}

/// Of all requests in it.
bool is_wait(std::string_view phase) {
  return std::ranges::any_of(kWaitingPhases, [&](int i) { return kPhaseNames[i] == phase; });
}

Seconds sum_of(const PhaseResult& phase) {
  return phase.ms.mean * 1e-3 * static_cast<double>(phase.ms.count);
}

class Part {
 public:
  Part(const Evidence& evidence, const SystemFacts& facts, Seconds from, Seconds to,
       const Cohort& cohort)
      : evidence_(evidence), facts_(facts), from_(from), to_(to), cohort_(cohort) {
    figures_.from = from;
    figures_.to = to;
  }

  Figures take() {
    if (!evidence_.roles.empty()) {
      figures_.proportion = proportion_of(evidence_.roles, from_, to_);
    }
    add_rates();
    add_ends();
    add_latencies();
    if (serve::has_prefill_instances(facts_.role)) add_prefill();
    if (serve::has_decode_instances(facts_.role)) add_decode();
    add_throughput();
    add_timeline();
    figures_.service = service_of(evidence_.records, facts_, cohort_);
    return std::move(figures_);
  }

 private:
  Seconds length() const { return to_ - from_; }
  bool inside(Seconds time) const { return time > from_ && time <= to_; }
  double share(Seconds begin, Seconds end) const { return share_inside(begin, end, from_, to_); }

  void add_rates();
  void add_ends();
  void add_latencies();
  /// From their sending to their end.
  bool is_seen(const RequestRecord& record) const {
    return record.outcome == Outcome::kFinished && record.initial_tokens == 0 &&
           cohort_.has(record);
  }
  void add_phases();
  void add_phases(std::size_t first, std::size_t last, double total);
  RoleResult role(const Iterations& iterations, double instances, int npus, double most) const;
  /// Of the role, mean over the time.
  double instances(bool decodes) const;
  /// Where roles change, the KV space of all places, of which `mean` was there on average.
  double most_kv(double mean) const;
  double full_batches() const;
  double prompt_rate() const;
  PromptResult prompts() const;
  RebalancingResult rebalancing() const;
  void add_prefill();
  void add_decode();
  void add_throughput();
  void add_timeline();

  const Evidence& evidence_;
  const SystemFacts& facts_;
  Seconds from_, to_;
  Cohort cohort_;
  Figures figures_;
};

void Part::add_rates() {
  double sent = 0;
  const Seconds last = std::min(last_open_send(evidence_.records, from_), to_);
  for (const RequestRecord& r : evidence_.records) {
    sent += r.initial_tokens == 0 && r.sent >= from_ && r.sent < last ? 1 : 0;
  }
  if (last > from_) figures_.request_rate = sent / (last - from_);
}

void Part::add_ends() {
  if (length() <= 0) return;
  double finished = 0, good = 0;
  for (const RequestRecord& r : evidence_.records) {
    if (r.outcome != Outcome::kFinished || !inside(r.finished)) continue;
    ++finished;
    good += check_slo(r, facts_).both() ? 1 : 0;
  }
  figures_.request_throughput = finished / length();
  figures_.request_goodput = good / length();
}

void Part::add_latencies() {
  const bool decoded = facts_.role != serve::Role::kPrefillOnly;
  std::vector<Latencies> by_class(std::max<std::size_t>(1, facts_.classes.size()));
  std::vector<double> e2es;
  SloVerdict& verdict = figures_.slo;
  verdict.limits = facts_.slo;
  double judged = 0, finished = 0, good = 0;
  for (const RequestRecord& r : evidence_.records) {
    if (r.outcome == Outcome::kUnfinished || !cohort_.has(r)) continue;
    ++judged;
    Latencies& of_class = by_class[static_cast<std::size_t>(r.request_class)];
    if (r.outcome != Outcome::kFinished) {
      ++of_class.lost;
      continue;
    }
    ++finished;
    if (r.initial_tokens == 0) {
      of_class.ttfts.push_back(ttft(r));
      e2es.push_back(e2e(r));
    }
    if (decoded && r.output_tokens > 1) of_class.tpots.push_back(tpot(r));
    const SloCheck check = check_slo(r, facts_);
    verdict.share_ttft += check.ttft ? 1 : 0;
    verdict.share_tpot += check.tpot ? 1 : 0;
    good += check.both() ? 1 : 0;
  }
  if (judged > 0) {
    verdict.share_ttft /= judged;
    verdict.share_tpot /= judged;
    verdict.share_both = good / judged;
  }
  verdict.met_at_p99 = verdict.met_on_mean = finished > 0;
  for (std::size_t i = 0; i < by_class.size(); ++i) {
    const serve::LatencyLimits limits = limits_of(facts_, i);
    judge(by_class[i].ttfts, by_class[i].lost, limits.ttft, verdict);
    judge(by_class[i].tpots, by_class[i].lost, limits.tpot, verdict);
  }
  Latencies all = joined(std::move(by_class));
  figures_.ttft_ms = summarize(std::move(all.ttfts), 1e3, facts_.arguments.percentiles);
  figures_.tpot_ms = summarize(std::move(all.tpots), 1e3, facts_.arguments.percentiles);
  figures_.e2el_ms = summarize(std::move(e2es), 1e3, facts_.arguments.percentiles);
  add_phases();
}

void Part::add_phases() {
  double total = 0;
  for (const RequestRecord& r : evidence_.records) {
    if (is_seen(r)) total += r.finished - r.arrival;
  }
  // Not all at once: each is a number a request.
  constexpr std::size_t kAtOnce = kPhases / 2;
  for (std::size_t first = 0; first < kPhases; first += kAtOnce) {
    add_phases(first, first + kAtOnce, total);
  }
  double slowest = -1, longest_wait = 0;
  for (const PhaseResult& phase : figures_.phases) {
    const double sum = sum_of(phase);
    if (sum > slowest) {
      slowest = sum;
      figures_.slowest_phase = phase.name;
    }
    if (sum > longest_wait && is_wait(phase.name)) {
      longest_wait = sum;
      figures_.longest_wait = phase.name;
    }
  }
}

void Part::add_phases(std::size_t first, std::size_t last, double total) {
  std::array<std::vector<double>, kPhases> samples;
  for (const RequestRecord& r : evidence_.records) {
    if (!is_seen(r)) continue;
    const auto phases = phases_of(r);
    for (std::size_t i = first; i < last; ++i) {
      if (phases[i].happened()) samples[i].push_back(phases[i].duration());
    }
  }
  for (std::size_t i = first; i < last; ++i) {
    // An open loop has no wait at the client; a phase of a role not run has no sample.
    if (samples[i].empty() || (i == 0 && std::ranges::max(samples[i]) == 0)) continue;
    PhaseResult phase{std::string(kPhaseNames[i]), summarize(std::move(samples[i]), 1e3), 0};
    phase.share = total > 0 ? sum_of(phase) / total : 0;
    figures_.phases.push_back(std::move(phase));
  }
}

double Part::instances(bool decodes) const {
  const serve::DeploymentSpec& deployment = facts_.deployment;
  if (!figures_.proportion) {
    return decodes ? deployment.decode_instances() : deployment.prefill_instances();
  }
  return decodes ? figures_.proportion->decode_npus / deployment.decode.npus_per_instance
                 : figures_.proportion->prefill_npus / deployment.prefill.npus_per_instance;
}

double Part::most_kv(double mean) const {
  if (!figures_.proportion) return mean;
  return static_cast<double>(facts_.decode_kv_capacity()) * facts_.deployment.decode_places() /
         facts_.deployment.decode_instances();
}

/// `most`: what occupancy is a share of, sequences or new tokens of an iteration.
RoleResult Part::role(const Iterations& iterations, double instances, int npus, double most) const {
  RoleResult role;
  role.instances = static_cast<int>(std::lround(instances));
  role.npus = static_cast<int>(std::lround(instances * npus));
  const double dies = npus * facts_.dies_per_npu;
  std::vector<double> durations;
  double busy = 0, late = 0, sequence_seconds = 0, sequences = 0, tokens = 0, context = 0,
         blocks = 0;
  double tokens_inside = 0;
  for (const Iteration& i : iterations) {
    const double part = share(i.start, i.end);
    if (part <= 0) continue;
    busy += part * i.duration();
    late += part * i.late;
    sequence_seconds += part * i.duration() * i.sequences;
    tokens_inside += part * i.tokens;
    role.hbm.bytes += part * static_cast<double>(i.bytes_per_die.hbm) * dies;
    role.ub_bytes += part * static_cast<double>(i.bytes_per_die.ub) * dies;
    role.exchange_bytes += part * static_cast<double>(i.bytes_per_die.exchange) * dies;
    role.collective_bytes += part * static_cast<double>(i.bytes_per_die.collective) * dies;
    if (!inside(i.end)) continue;
    durations.push_back(i.duration());
    sequences += i.sequences;
    tokens += i.tokens;
    context += static_cast<double>(i.context);
    blocks += static_cast<double>(i.cached_blocks);
  }
  role.iteration_ms = summarize(std::move(durations), 1e3);
  role.iterations = role.iteration_ms.count;
  if (role.iterations > 0) {
    const auto count = static_cast<double>(role.iterations);
    role.mean_sequences = sequences / count;
    role.mean_tokens = tokens / count;
    role.mean_context = context / count;
    role.mean_cached_blocks = blocks / count;
  }
  if (length() > 0 && instances > 0) {
    role.utilisation = busy / (length() * instances);
    role.occupancy = sequence_seconds / (most * length() * instances);
    role.tokens_per_second = tokens_inside / length();
  }
  if (busy > 0) {
    role.contention = late / busy;
    role.hbm.busy_bandwidth = role.hbm.bytes / (busy * dies);
  }
  if (facts_.hbm_bandwidth > 0) {
    role.hbm.busy_utilisation = role.hbm.busy_bandwidth / facts_.hbm_bandwidth;
    role.hbm.utilisation = role.hbm.busy_utilisation * role.utilisation;
  }
  return role;
}

/// Share of the time in which an instance runs a batch that has 19/20 of its token budget or more.
double Part::full_batches() const {
  const auto budget = static_cast<double>(facts_.deployment.prefill.token_budget());
  double busy = 0;
  for (const Iteration& batch : evidence_.batches) {
    if (batch.tokens < 0.95 * budget) continue;
    busy += share(batch.start, batch.end) * batch.duration();
  }
  return length() > 0 ? busy / (length() * instances(false)) : 0;
}

/// Tokens of prompts per second, cached ones included: what a user gets prefilled.
double Part::prompt_rate() const {
  double prompts = 0;
  for (const RequestRecord& r : evidence_.records) {
    if (r.prefill_start < 0 || r.prefill_end < 0) continue;
    prompts += static_cast<double>(r.prompt_tokens) * share(r.prefill_start, r.prefill_end);
  }
  return length() > 0 ? prompts / length() : 0;
}

PromptResult Part::prompts() const {
  PromptResult result{.tokens_per_second = prompt_rate()};
  double steps = 0;
  auto prompts = evidence_.prompts.begin();
  for (const Iteration& iteration : evidence_.steps) {
    const StepPrompts& step = *prompts++;
    if (!inside(iteration.end)) continue;
    ++steps;
    result.mean_sequences += step.sequences;
    result.mean_tokens += step.tokens;
    result.mean_context += static_cast<double>(step.context);
  }
  for (double* sum : {&result.mean_sequences, &result.mean_tokens, &result.mean_context}) {
    *sum = steps > 0 ? *sum / steps : kNoSample;
  }
  return result;
}

void Part::add_prefill() {
  const serve::PrefillSpec& spec = facts_.deployment.prefill;
  RoleResult role = this->role(evidence_.batches, instances(false), spec.npus_per_instance, 1);
  role.tokens_per_second = prompt_rate();
  role.occupancy =
      role.iterations > 0 ? role.mean_tokens / static_cast<double>(spec.token_budget()) : 0;
  figures_.prefill = role;
}

void Part::add_decode() {
  const serve::DecodeSpec& spec = facts_.deployment.decode;
  figures_.decode = role(evidence_.steps, instances(true), spec.npus_per_instance,
                         static_cast<double>(spec.slots_per_instance()));
  if (facts_.role == serve::Role::kMixed) figures_.decode->prompts = prompts();
  if (facts_.drifts) figures_.decode->rebalancing = rebalancing();
  figures_.decode->plan_changes =
      std::ranges::count_if(evidence_.plan_changes, [&](Seconds at) { return inside(at); });
  figures_.kv.capacity_tokens =
      static_cast<Tokens>(static_cast<double>(facts_.decode_kv_capacity()) * instances(true) /
                          facts_.deployment.decode_instances());
  std::vector<WeightedSample> gaps;
  gaps.reserve(evidence_.steps.size());
  for (const Iteration& step : evidence_.steps) {
    if (inside(step.end)) gaps.push_back({step.duration(), step.continuing});
  }
  figures_.itl_ms = summarize(std::move(gaps), 1e3, facts_.arguments.percentiles);
}

RebalancingResult Part::rebalancing() const {
  RebalancingResult result;
  for (const serve::RebalancingEvent& event : evidence_.rebalancings) {
    if (!inside(event.end)) continue;
    ++result.count;
    result.experts += event.experts;
    result.bytes += static_cast<double>(event.bytes);
  }
  double busy = 0, ended = 0, balancedness = 0, age = 0;
  auto of_steps = evidence_.step_experts.begin();
  for (const Iteration& step : evidence_.steps) {
    const StepExperts& experts = *of_steps++;
    const double part = share(step.start, step.end);
    busy += part * step.duration();
    result.paid += part * experts.moving;
    if (!inside(step.end)) continue;
    ++ended;
    balancedness += experts.balancedness;
    age += experts.placement_age;
  }
  if (busy > 0) result.paid_share = result.paid / busy;
  if (ended > 0) {
    result.mean_balancedness = balancedness / ended;
    result.mean_age = age / ended;
  }
  return result;
}

void Part::add_throughput() {
  if (length() <= 0) return;
  double prompts = figures_.prefill ? figures_.prefill->tokens_per_second : 0;
  if (figures_.decode && figures_.decode->prompts) {
    prompts = figures_.decode->prompts->tokens_per_second;
  }
  // Alone, prefill makes the first token of a request.
  figures_.output_throughput =
      figures_.decode ? figures_.decode->tokens_per_second : figures_.request_throughput;
  figures_.total_token_throughput = prompts + figures_.output_throughput;
}

void Part::add_timeline() {
  static constexpr std::array<const char*, 4> kQueues{"prefill_waiting", "prefill_running",
                                                      "decode_waiting", "decode_running"};
  const Timeline& timeline = evidence_.timeline;
  const std::size_t last = to_ >= timeline.end() ? timeline.bins() : timeline.bin_at(to_);
  const TimelinePart part = timeline.part(timeline.bin_at(from_), last);
  const auto mean = [&](Level level) {
    return length() > 0 ? part.integral_of(level) / length() : 0;
  };
  for (std::size_t i = 0; i < kQueues.size(); ++i) {
    const auto level = static_cast<Level>(i);
    figures_.queues.push_back(
        {kQueues[i], mean(level), static_cast<std::int64_t>(part.highest_of(level))});
  }
  if (figures_.kv.capacity_tokens > 0) {
    const auto capacity = static_cast<double>(figures_.kv.capacity_tokens);
    figures_.kv.mean_occupancy = mean(Level::kKvReserved) / capacity;
    figures_.kv.peak_occupancy = part.highest_of(Level::kKvReserved) / most_kv(capacity);
  }
  for (std::size_t i = 0; i < serve::kTransferKinds; ++i) {
    const auto kind = static_cast<serve::TransferKind>(i);
    const bool of_ssd =
        kind == serve::TransferKind::kSsdRead || kind == serve::TransferKind::kSsdWrite;
    const bool of_swap =
        kind == serve::TransferKind::kSwapOut || kind == serve::TransferKind::kSwapIn;
    if (of_ssd && facts_.ssd_capacity_blocks == 0) continue;
    if (of_swap && facts_.deployment.swap.dram_per_node == 0) continue;
    const TransferSums& sums = part.transfers[i];
    TransferResult transfer{.name = to_string(kind), .count = sums.count, .bytes = sums.bytes};
    if (sums.count > 0) {
      transfer.mean_ms = sums.seconds * 1e3 / static_cast<double>(sums.count);
      transfer.max_ms = sums.longest * 1e3;
    }
    if (sums.seconds > 0) transfer.mean_bandwidth = sums.bytes / sums.seconds;
    figures_.transfers.push_back(std::move(transfer));
  }
  if (figures_.prefill) {
    figures_.binds.push_back({"prefill token budget", full_batches()});
  }
  if (figures_.decode) {
    figures_.binds.push_back({"decode slots", mean(Level::kSlotsBind)});
    figures_.binds.push_back({"decode KV space", mean(Level::kKvBinds)});
    figures_.binds.push_back({"decode policies", mean(Level::kPolicyHolds)});
  }
  std::erase_if(figures_.binds, [](const Bind& bind) { return !(bind.share > 0); });
  std::ranges::stable_sort(figures_.binds, std::ranges::greater{}, &Bind::share);
}

}  // namespace

Figures figures_of(const Evidence& evidence, const SystemFacts& facts, Seconds from, Seconds to,
                   const Cohort& cohort) {
  return Part(evidence, facts, from, to, cohort).take();
}

Tokens output_of(const RequestRecord& record, serve::Role role) {
  if (role == serve::Role::kPrefillOnly) return 1;
  return record.output_tokens - record.initial_tokens;
}

SloCheck check_slo(const RequestRecord& record, const serve::LatencyLimits& limits,
                   serve::Role role) {
  return {record.initial_tokens > 0 || ttft(record) <= limits.ttft,
          role == serve::Role::kPrefillOnly || tpot(record) <= limits.tpot};
}

SloCheck check_slo(const RequestRecord& record, const SystemFacts& facts) {
  return check_slo(record, limits_of(facts, static_cast<std::size_t>(record.request_class)),
                   facts.role);
}

Seconds overlap(Seconds from, Seconds to, Seconds begin, Seconds end) {
  return std::max(0.0, std::min(to, end) - std::max(from, begin));
}

double share_inside(Seconds from, Seconds to, Seconds begin, Seconds end) {
  if (to <= from) return from > begin && from <= end ? 1 : 0;
  return overlap(from, to, begin, end) / (to - from);
}

}  // namespace cmsim::metrics
