#include "decode_mix.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "cmsim/serve/mtp.hpp"

namespace cmsim::run {

DecodeMix::DecodeMix(std::span<const Lengths> lengths, const Scenario& scenario,
                     const model::DecodePipeline& model, RandomStream random)
    : lengths_(lengths), model_(model) {
  const serve::DecodeSpec& decode = scenario.deployment.decode;
  const model::DecodeOptions& options = scenario.options.decode;
  tokens_per_step_ = serve::mean_tokens_per_iteration({options.draft_tokens, options.acceptance});
  draw(decode.slots(), random);
  deal(static_cast<std::size_t>(model.experts().layout().ranks) *
           static_cast<std::size_t>(decode.instances),
       static_cast<std::int32_t>(decode.max_num_seqs / scenario.platform.dies_per_npu));
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

void DecodeMix::deal(std::size_t ranks, std::int32_t slots) {
  using Rank = std::pair<Tokens, std::size_t>;
  std::priority_queue<Rank, std::vector<Rank>, std::greater<>> free;
  std::vector<std::int32_t> taken(ranks, 0);
  for (std::size_t rank = 0; rank < ranks; ++rank) free.emplace(0, rank);
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
    if (++taken[rank] < slots) free.emplace(holds, rank);
  }
}

Seconds DecodeMix::step(std::size_t n) const {
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

double DecodeMix::rate(std::size_t n) const {
  return n == 0 ? 0 : static_cast<double>(n) * tokens_per_step_ / step(n);
}

}  // namespace cmsim::run
