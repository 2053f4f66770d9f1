#include "cmsim/metrics/time_series.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cmsim/base/error.hpp"

namespace cmsim::metrics {
namespace {

/// The level that a block's NPUs belong to; what is being drained still serves.
std::size_t level_of(const serve::RoleEvent& event) {
  if (event.state == serve::InstanceState::kLoading) return 7;
  return event.decodes ? 6 : 5;
}

}  // namespace

TimeSeries::TimeSeries(Seconds interval, const SystemFacts& facts)
    : interval_(interval), facts_(facts) {}

/// What comes after the last interval that may be kept is put there, and csv() refuses.
TimeSeries::Interval& TimeSeries::at(Seconds time) {
  if (!begun_) {
    begun_ = true;
    begin_ = since_ = time;
  }
  const double number = std::max(0.0, (time - begin_) / interval_);
  too_long_ = too_long_ || number >= static_cast<double>(kMostIntervals);
  const auto index =
      static_cast<std::size_t>(std::min(number, static_cast<double>(kMostIntervals - 1)));
  if (index >= intervals_.size()) intervals_.resize(index + 1);
  return intervals_[index];
}

template <class Visit>
void TimeSeries::spread(Seconds from, Seconds to, const Visit& visit) {
  at(to);
  if (too_long_) return;
  const auto first = static_cast<std::size_t>(std::max(0.0, (from - begin_) / interval_));
  for (std::size_t i = first; i < intervals_.size(); ++i) {
    const Seconds begin = begin_ + interval_ * static_cast<double>(i);
    if (begin >= to && i > first) return;
    const double share = share_inside(from, to, begin, begin + interval_);
    if (share > 0) visit(intervals_[i], share);
  }
}

void TimeSeries::reach(Seconds time) {
  at(time);
  spread(since_, time, [&](Interval& interval, double share) {
    for (std::size_t i = 0; i < kLevels; ++i) {
      interval.level_seconds[i] += level_[i] * share * (time - since_);
    }
  });
  since_ = time;
}

void TimeSeries::on_request_sent(const serve::RequestRecord& record) {
  Interval& interval = at(record.sent);
  interval.sent += record.initial_tokens == 0 ? 1 : 0;
}

void TimeSeries::on_request_end(const serve::RequestRecord& record) {
  if (record.outcome == serve::Outcome::kFinished) ++at(record.finished).finished;
}

void TimeSeries::on_prefill_batch(const serve::PrefillBatchEvent& event) {
  spread(event.start, event.end, [&](Interval& interval, double share) {
    interval.prefill_busy += share * (event.end - event.start);
    interval.batches += share;
    interval.batch_tokens += share * static_cast<double>(event.new_tokens);
    interval.prompt_tokens += share * static_cast<double>(event.new_tokens);
  });
}

void TimeSeries::on_decode_step(const serve::DecodeStepEvent& event) {
  spread(event.start, event.end, [&](Interval& interval, double share) {
    interval.decode_busy += share * (event.end - event.start);
    interval.steps += share;
    interval.sequences += share * static_cast<double>(event.sequences);
    interval.output_tokens += share * static_cast<double>(event.tokens);
    interval.prompt_tokens += share * static_cast<double>(event.prompt_tokens);
  });
}

void TimeSeries::on_queue(const serve::QueueEvent& event) {
  reach(event.at);
  const std::array<double, kQueueLevels> queues{
      static_cast<double>(event.prefill_waiting), static_cast<double>(event.prefill_running),
      static_cast<double>(event.decode_waiting), static_cast<double>(event.decode_running),
      static_cast<double>(event.decode_kv_reserved)};
  std::ranges::copy(queues, level_.begin());
}

void TimeSeries::on_cache(const serve::CacheEvent& event) {
  Interval& interval = at(event.at);
  interval.lookup_tokens += static_cast<double>(event.lookup_tokens);
  interval.hit_tokens += static_cast<double>(event.hit_tokens);
  interval.ssd_hit_tokens += static_cast<double>(event.ssd_hit_tokens);
}

/// Roles are known before the first request is sent.
void TimeSeries::on_role(const serve::RoleEvent& event) {
  if (begun_) reach(event.at);
  const auto [block, is_new] = blocks_.try_emplace({event.supernode, event.block}, event);
  if (!is_new) level_[level_of(block->second)] -= block->second.npus;
  block->second = event;
  level_[level_of(event)] += event.npus;
}

std::string TimeSeries::csv(Seconds run_end) {
  if (begun_) reach(run_end);
  if (too_long_) {
    throw ConfigError(
        fmt::format("--timeseries {:g}s: the run of {:g} s has more than {} intervals", interval_,
                    run_end - begin_, kMostIntervals));
  }
  std::string text =
      "from_s,sent,finished,prefill_waiting,prefill_running,decode_waiting,decode_running,"
      "kv_occupancy,prefill_utilisation,prefill_batch_tokens,prefill_tokens_per_s,"
      "decode_utilisation,decode_sequences,decode_iteration_ms,output_tokens_per_s,"
      "cache_hit_rate,ssd_hit_rate,prefill_npus,decode_npus,loading_npus\n";
  const auto out = std::back_inserter(text);
  const auto cell = [&](double amount, double of) {
    text += ',';
    if (of > 0) fmt::format_to(out, "{:.9g}", amount / of);
  };
  const auto capacity = static_cast<double>(facts_.decode_kv_capacity());
  const int prefills =
      serve::has_prefill_instances(facts_.role) ? facts_.deployment.prefill_instances() : 0;
  const int decodes =
      serve::has_decode_instances(facts_.role) ? facts_.deployment.decode_instances() : 0;
  for (std::size_t i = 0; i < intervals_.size(); ++i) {
    const Interval& row = intervals_[i];
    const Seconds from = interval_ * static_cast<double>(i);
    const Seconds length = std::min(interval_, run_end - begin_ - from);
    if (length <= 0) break;  // the run ends with an interval
    fmt::format_to(out, "{:.9g},{},{}", begin_ + from, row.sent, row.finished);
    for (std::size_t level = 0; level < 4; ++level) cell(row.level_seconds[level], length);
    cell(row.level_seconds[4], length * capacity);
    cell(row.prefill_busy, length * prefills);
    cell(row.batch_tokens, row.batches);
    cell(row.prompt_tokens, serve::computes_prompts(facts_.role) ? length : 0);
    cell(row.decode_busy, length * decodes);
    cell(row.sequences, row.steps);
    cell(row.decode_busy * 1e3, row.steps);
    cell(row.output_tokens, decodes > 0 ? length : 0);
    cell(row.hit_tokens, row.lookup_tokens);
    cell(row.ssd_hit_tokens, row.lookup_tokens);
    for (std::size_t level = kQueueLevels; level < kLevels; ++level) {
      cell(row.level_seconds[level], blocks_.empty() ? 0 : length);
    }
    text += '\n';
  }
  return text;
}

}  // namespace cmsim::metrics
