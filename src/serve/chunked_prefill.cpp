#include "cmsim/serve/chunked_prefill.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {

ChunkedPrefill::ChunkedPrefill(ClusterState& state, Supernode& supernode, const Policies& policies,
                               std::size_t ranks, Hook readable)
    : state_(state),
      supernode_(supernode),
      policies_(policies),
      readable_(std::move(readable)),
      cache_(state, supernode, policies),
      ranks_per_instance_(ranks),
      budget_(state.config.deployment.decode.token_budget_of_rank()),
      tokens_per_sequence_(1 + state.config.mtp.draft_tokens),
      ranks_(ranks * supernode.placement.decode.size()),
      loads_(ranks_.size()),
      runs_(supernode.placement.decode.size()) {}

void ChunkedPrefill::begin(RequestIndex index) {
  Request& request = state_.request(index);
  RequestRecord& record = request.record;
  const std::int32_t instance = record.decode_instance - supernode_.first_decode;
  const CacheHit hit = cache_.look_up(index, instance);
  cache_.take(index, instance, hit);
  request.stage = Stage::kPrefillQueue;
  request.computed = hit.tokens;
  to_compute_ += request.context - request.computed;
  request.hit_blocks = hit.blocks;
  const bool is_first = record.prefill_start < 0 && record.decode_start < 0;
  if (is_first) {
    record.cached_tokens = hit.tokens;
    record.ssd_tokens = hit.ssd_tokens;
  }
  set_once(record, &RequestRecord::cache_read_start, state_.now());
  const auto wait = [this, index] {
    ranks_[static_cast<std::size_t>(state_.request(index).rank)].waiting.push_back(
        state_.seen(index));
    readable_(index);
  };
  if (hit.tokens == 0) {
    wait();
    return;
  }
  cache_.read(index, instance, hit, [this, index, wait] {
    RequestRecord& read = state_.request(index).record;
    if (read.prefill_start < 0) set_once(read, &RequestRecord::cache_read_end, state_.now());
    wait();
  });
}

Tokens ChunkedPrefill::cached_tokens(const RequestView& request) const {
  return cache_.most_cached(static_cast<RequestIndex>(request.id));
}

bool ChunkedPrefill::has_work(std::int32_t instance) const {
  const std::size_t first = static_cast<std::size_t>(instance) * ranks_per_instance_;
  return std::ranges::any_of(std::span(ranks_).subspan(first, ranks_per_instance_),
                             [](const Rank& rank) { return rank.has_work(); });
}

std::span<const model::PromptLoad> ChunkedPrefill::loads(std::int32_t instance) const {
  return std::span(loads_).subspan(static_cast<std::size_t>(instance) * ranks_per_instance_,
                                   ranks_per_instance_);
}

void ChunkedPrefill::start(std::int32_t instance, std::span<const std::int32_t> sequences,
                           DecodeStepEvent& event) {
  const std::size_t first = static_cast<std::size_t>(instance) * ranks_per_instance_;
  std::vector<Chunk>& running = runs_[static_cast<std::size_t>(instance)];
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const Rank& rank = ranks_[first + i];
    loads_[first + i] = {};
    if (!rank.has_work()) continue;
    sequences_.clear();
    fill(first + i, budget_ - sequences[i] * tokens_per_sequence_, running);
    loads_[first + i] = model::prompt_load(sequences_);
    for (const model::PrefillSequence& chunk : sequences_) {
      event.prompt_tokens += chunk.new_tokens;
      event.prompt_context += chunk.cached_tokens;
    }
  }
  event.prompts = static_cast<std::int64_t>(running.size());
  state_.prefill_running += event.prompts;
}

/// Ends: each round uses budget up or is the last.
void ChunkedPrefill::fill(std::size_t number, Tokens budget, std::vector<Chunk>& running) {
  Rank& rank = ranks_[number];
  while (budget > 0) {
    const RequestIndex index =
        rank.begun != kNoRequest ? std::exchange(rank.begun, kNoRequest) : next(number, budget);
    if (index == kNoRequest) return;
    Request& request = state_.request(index);
    const Tokens left = request.context - request.computed, tokens = std::min(left, budget);
    request.stage = Stage::kPrefill;
    set_once(request.record, &RequestRecord::prefill_start, state_.now());
    sequences_.push_back({tokens, request.computed});
    running.push_back({index, tokens});
    budget -= tokens;
    if (tokens < left) rank.begun = index;
  }
}

/// As a policy says; takes it out of the queue.
RequestIndex ChunkedPrefill::next(std::size_t number, Tokens budget_left) {
  Rank& rank = ranks_[number];
  if (rank.waiting.empty()) return kNoRequest;
  const DecodeSpec& spec = state_.config.deployment.decode;
  const PrefillBatchingView seen{
      .now = state_.now(),
      .instance = supernode_.first_decode + static_cast<std::int32_t>(number / ranks_per_instance_),
      .waiting = rank.waiting.view(),
      .budget = budget_,
      .budget_left = budget_left,
      .sequences = static_cast<std::int64_t>(sequences_.size()),
      .kv_free = 0,
      .npus = static_cast<double>(spec.attending_npus()) / static_cast<double>(ranks_per_instance_),
      .rank = static_cast<std::int32_t>(number % ranks_per_instance_)};
  const auto position = call_policy<PrefillBatching>(policies_, seen);
  if (!position) return kNoRequest;
  if (*position >= rank.waiting.size()) {
    refuse<PrefillBatching>(policies_, seen,
                            "picked position " + std::to_string(*position) + " of the queue");
  }
  const auto index = static_cast<RequestIndex>(rank.waiting[*position].id);
  rank.waiting.erase(*position);
  return index;
}

void ChunkedPrefill::finish(std::int32_t instance, const Hook& complete) {
  std::vector<Chunk>& running = runs_[static_cast<std::size_t>(instance)];
  state_.prefill_running -= static_cast<std::int64_t>(running.size());
  for (const Chunk& chunk : std::exchange(running, {})) {
    Request& request = state_.request(chunk.request);
    request.computed += chunk.tokens;
    to_compute_ -= chunk.tokens;
    if (request.computed < request.context) continue;  // more chunks to come
    set_once(request.record, &RequestRecord::prefill_end, state_.now());
    cache_.write(chunk.request, instance);
    complete(chunk.request);
  }
}

}  // namespace cmsim::serve
