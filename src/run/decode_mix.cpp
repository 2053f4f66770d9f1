#include "decode_mix.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "cmsim/serve/mtp.hpp"

namespace cmsim::run {

DecodeMix::DecodeMix(std::span<const Lengths> lengths, const Scenario& scenario,
                     const model::DecodePipeline& model, RandomStream random)
    : lengths_(lengths), model_(model), instances_(scenario.deployment.decode.instances) {
  const serve::DecodeSpec& decode = scenario.deployment.decode;
  const model::DecodeOptions& options = scenario.options.decode;
  tokens_per_step_ = serve::mean_tokens_per_iteration({options.draft_tokens, options.acceptance});
  draw(decode.slots(), random);
  deal(decode);
}

Tokens DecodeMix::context(const Member& member) const {
  const auto& [prompt, output] = lengths_[member.drawn];
  return prompt + static_cast<Tokens>(member.age * static_cast<double>(output));
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
  const std::size_t ranks = of_instance * static_cast<std::size_t>(decode.instances);
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
    steps[i].duration =
        model_
            .iteration({of_instance(sequences), of_instance(tokens), static_cast<std::int32_t>(i)})
            .duration;
  }
  return steps;
}

Seconds DecodeMix::step(std::size_t n) const {
  return std::ranges::max(steps(n), {}, &InstanceStep::duration).duration;
}

double DecodeMix::rate(std::size_t n) const {
  double rate = 0;
  for (const InstanceStep& step : steps(n)) {
    if (step.members > 0) rate += step.members * tokens_per_step_ / step.duration;
  }
  return rate;
}

}  // namespace cmsim::run
