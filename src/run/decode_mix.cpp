#include "decode_mix.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

#include "cmsim/serve/mtp.hpp"

namespace cmsim::run {

DecodeMix::DecodeMix(std::span<const Lengths> lengths, const Scenario& scenario,
                     const model::DecodePipeline& model, RandomStream random)
    : lengths_(lengths), model_(model), instances_(scenario.deployment.decode_instances()) {
  const serve::DecodeSpec& decode = scenario.deployment.decode;
  const model::DecodeOptions& options = scenario.options.decode;
  tokens_per_step_ = serve::mean_tokens_per_iteration({options.draft_tokens, options.acceptance});
  if (scenario.role == serve::Role::kMixed) {
    budget_ = decode.token_budget_of_rank();
    tokens_per_sequence_ = 1 + options.draft_tokens;
    double fresh = 0, output = 0;
    for (const Lengths& one : lengths) {
      fresh += static_cast<double>(one.fresh);
      output += static_cast<double>(one.output);
    }
    fresh_per_output_ = fresh / output;
  }
  draw(scenario.deployment.decode_slots(), random);
  deal(decode);
}

Tokens DecodeMix::context(const Member& member) const {
  const Lengths& its = lengths_[member.drawn];
  return its.prompt + static_cast<Tokens>(member.age * static_cast<double>(its.output));
}

Tokens DecodeMix::whole(const Member& member) const {
  return lengths_[member.drawn].prompt + lengths_[member.drawn].output;
}

void DecodeMix::draw(std::int64_t count, RandomStream& random) {
  std::vector<double> sum(lengths_.size());
  double total = 0;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    sum[i] = total += static_cast<double>(lengths_[i].output);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const double point = random.uniform() * total;
    const auto drawn = static_cast<std::size_t>(std::ranges::upper_bound(sum, point) - sum.begin());
    members_.push_back({std::min(drawn, sum.size() - 1), random.uniform()});
  }
}

void DecodeMix::deal(const serve::DecodeSpec& decode) {
  const auto of_instance = static_cast<std::size_t>(model_.ranks());
  const std::size_t ranks = of_instance * static_cast<std::size_t>(instances_);
  using Rank = std::pair<Tokens, std::size_t>;
  std::priority_queue<Rank, std::vector<Rank>, std::greater<>> free;
  std::vector<std::int32_t> left(ranks);  // slots
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    left[rank] = decode.slots_on(static_cast<std::int64_t>(rank % of_instance),
                                 static_cast<std::int64_t>(of_instance));
    if (left[rank] > 0) free.emplace(0, rank);
  }
  for (const Member& member : std::exchange(members_, {})) {
    if (free.empty()) return;
    const auto [held, rank] = free.top();
    const Tokens holds = held + context(member);
    if (holds > model_.kv_capacity_per_die() * 19 / 20) {
      if (held > 0) return;
      if (whole(member) > model_.kv_capacity_per_die()) continue;  // it is served nowhere
    }
    free.pop();
    members_.push_back(member);
    ranks_of_.push_back(rank);
    if (--left[rank] > 0) free.emplace(holds, rank);
  }
}

std::vector<DecodeMix::InstanceStep> DecodeMix::steps(std::size_t n) const {
  const auto ranks = static_cast<std::size_t>(model_.ranks());
  std::vector<InstanceStep> steps(static_cast<std::size_t>(instances_));
  std::vector<std::int32_t> sequences(ranks * steps.size(), 0);
  std::vector<std::int64_t> tokens(sequences.size(), 0);
  for (std::size_t i = 0; i < n; ++i) {
    ++sequences[ranks_of_[i]];
    tokens[ranks_of_[i]] += context(members_[i]);
    steps[ranks_of_[i] / ranks].members += 1;
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto of_instance = [&](auto& all) { return std::span(all).subspan(i * ranks, ranks); };
    const auto prompts = prompts_beside(of_instance(sequences), steps[i].computed);
    steps[i].duration = model_
                            .iteration({of_instance(sequences), of_instance(tokens),
                                        static_cast<std::int32_t>(i), prompts})
                            .duration;
  }
  return steps;
}

std::vector<model::PromptLoad> DecodeMix::prompts_beside(std::span<const std::int32_t> sequences,
                                                         double& share) const {
  if (budget_ == 0) return {};
  const double members = std::accumulate(sequences.begin(), sequences.end(), 0.0);
  const auto come = static_cast<Tokens>(members * tokens_per_step_ * fresh_per_output_);
  Tokens left = come;
  std::vector<model::PromptLoad> prompts(sequences.size());
  for (std::size_t rank = 0; rank < sequences.size() && left > 0; ++rank) {
    const Tokens here = std::min(left, budget_ - sequences[rank] * tokens_per_sequence_);
    if (here <= 0) continue;
    prompts[rank] = model::prompt_load(std::array{model::PrefillSequence{here, 0}});
    left -= here;
  }
  if (come > 0) share = 1 - static_cast<double>(left) / static_cast<double>(come);
  return prompts;
}

Seconds DecodeMix::step(std::size_t n) const {
  return std::ranges::max(steps(n), {}, &InstanceStep::duration).duration;
}

double DecodeMix::rate(std::size_t n) const {
  double rate = 0;
  for (const InstanceStep& step : steps(n)) {
    if (step.members > 0) rate += step.members * tokens_per_step_ * step.computed / step.duration;
  }
  return rate;
}

}  // namespace cmsim::run
