#include "cmsim/work/trace_summary.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace cmsim::work {
namespace {

LengthSummary summarize_lengths(const Trace& trace, std::int32_t TraceRow::*field) {
  LengthSummary summary;
  if (trace.rows.empty()) return summary;
  std::vector<std::int32_t> lengths;
  lengths.reserve(trace.rows.size());
  for (const TraceRow& row : trace.rows) lengths.push_back(row.*field);
  std::sort(lengths.begin(), lengths.end());
  const auto count = static_cast<double>(lengths.size());
  double squares = 0;
  for (const std::int64_t length : lengths) summary.total += length;
  summary.mean = static_cast<double>(summary.total) / count;
  for (const std::int32_t length : lengths) squares += std::pow(length - summary.mean, 2);
  summary.cv = std::sqrt(squares / count) / summary.mean;
  const auto percentile = [&](double fraction) {
    const double rank = fraction * (count - 1);
    const auto below = static_cast<std::size_t>(rank);
    const std::size_t above = std::min(below + 1, lengths.size() - 1);
    return lengths[below] + (rank - std::floor(rank)) * (lengths[above] - lengths[below]);
  };
  summary.p50 = percentile(0.5);
  summary.p90 = percentile(0.9);
  summary.p99 = percentile(0.99);
  summary.max = lengths.back();
  return summary;
}

void summarize_arrivals(const Trace& trace, TraceSummary& summary) {
  summary.duration = trace.duration();
  summary.distinct_stamps = trace.rows.empty() ? 0 : 1;
  double squares = 0;
  std::int64_t minute = -1, in_minute = 0, busiest = 0;
  for (std::size_t i = 0; i < trace.rows.size(); ++i) {
    const auto now = static_cast<std::int64_t>(trace.rows[i].arrival / 60);
    in_minute = now == minute ? in_minute + 1 : 1;
    minute = now;
    busiest = std::max(busiest, in_minute);
    if (i == 0) continue;
    const Seconds gap = trace.rows[i].arrival - trace.rows[i - 1].arrival;
    squares += gap * gap;
    if (gap > 0) ++summary.distinct_stamps;
  }
  if (summary.duration <= 0) return;
  const auto gaps = static_cast<double>(trace.rows.size() - 1);
  const double mean_gap = summary.duration / gaps;
  summary.mean_rate = 1 / mean_gap;
  summary.peak_rate = summary.duration < 60 ? summary.mean_rate : static_cast<double>(busiest) / 60;
  summary.interarrival_cv = std::sqrt(std::max(0.0, squares / gaps / (mean_gap * mean_gap) - 1));
}

/// The trace's block ids numbered 0, 1, ... by first use, so that a cache can be plain arrays.
struct DenseBlocks {
  explicit DenseBlocks(const Trace& trace) {
    std::unordered_map<std::uint64_t, std::uint32_t> index;
    index.reserve(trace.block_ids.size());
    ids.reserve(trace.block_ids.size());
    for (const std::uint64_t id : trace.block_ids) {
      ids.push_back(index.try_emplace(id, static_cast<std::uint32_t>(index.size())).first->second);
    }
    distinct = static_cast<std::uint32_t>(index.size());
  }
  std::vector<std::uint32_t> ids;
  std::uint32_t distinct = 0;
};

/// LRU over dense ids: a doubly linked list in two arrays, most recent first, with a sentinel.
class LruCache {
 public:
  LruCache(std::uint32_t ids, std::int64_t capacity)
      : sentinel_(ids),
        capacity_(capacity),
        newer_(ids + 1, ids),
        older_(ids + 1, ids),
        present_(ids, 0) {}

  bool contains(std::uint32_t id) const { return present_[id] != 0; }

  void touch(std::uint32_t id) {
    if (present_[id] != 0) {
      unlink(id);
    } else if (capacity_ > 0 && size_ == capacity_) {
      const std::uint32_t oldest = newer_[sentinel_];
      unlink(oldest);
      present_[oldest] = 0;
    } else {
      ++size_;
    }
    present_[id] = 1;
    const std::uint32_t front = older_[sentinel_];
    older_[id] = front;
    newer_[id] = sentinel_;
    newer_[front] = id;
    older_[sentinel_] = id;
  }

 private:
  void unlink(std::uint32_t id) {
    older_[newer_[id]] = older_[id];
    newer_[older_[id]] = newer_[id];
  }

  std::uint32_t sentinel_;
  std::int64_t capacity_, size_ = 0;  // capacity 0 = unbounded
  std::vector<std::uint32_t> newer_, older_;
  std::vector<char> present_;
};

PrefixReuse replay(const Trace& trace, const DenseBlocks& blocks, std::int64_t capacity) {
  LruCache cache(blocks.distinct, capacity);
  std::int64_t hit_blocks = 0, hit_tokens = 0, tokens = 0;
  for (const TraceRow& row : trace.rows) {
    const auto ids = std::span(blocks.ids).subspan(row.first_block, row.block_count);
    std::size_t run = 0;
    while (run < ids.size() && cache.contains(ids[run])) ++run;
    hit_blocks += static_cast<std::int64_t>(run);
    hit_tokens += std::min<std::int64_t>(static_cast<std::int64_t>(run) * trace.block_size,
                                         row.prompt_tokens);
    tokens += row.prompt_tokens;
    // Last block first: the head of a prefix, which more requests share, stays the longest.
    for (std::size_t i = ids.size(); i-- > 0;) cache.touch(ids[i]);
  }
  PrefixReuse reuse{.cache_blocks = capacity, .by_block = 0, .by_token = 0};
  if (!blocks.ids.empty()) {
    reuse.by_block = static_cast<double>(hit_blocks) / static_cast<double>(blocks.ids.size());
    reuse.by_token = static_cast<double>(hit_tokens) / static_cast<double>(tokens);
  }
  return reuse;
}

}  // namespace

TraceSummary summarize(const Trace& trace, const std::vector<std::int64_t>& cache_sizes) {
  TraceSummary summary;
  summary.name = trace.name;
  summary.format = trace.format;
  summary.requests = static_cast<std::int64_t>(trace.rows.size());
  summary.dropped = trace.dropped;
  summary.dropped_reason = trace.dropped_reason;
  summary.has_arrivals = trace.has_arrivals;
  summarize_arrivals(trace, summary);
  summary.prompt = summarize_lengths(trace, &TraceRow::prompt_tokens);
  summary.output = summarize_lengths(trace, &TraceRow::output_tokens);
  if (!trace.has_blocks()) return summary;

  const DenseBlocks blocks(trace);
  summary.block_size = trace.block_size;
  summary.blocks = static_cast<std::int64_t>(blocks.ids.size());
  summary.distinct_blocks = blocks.distinct;
  for (const std::int64_t size : cache_sizes) summary.reuse.push_back(replay(trace, blocks, size));
  return summary;
}

TraceSummary summarize(const Trace& trace) {
  std::vector<std::int64_t> sizes;
  const auto most = static_cast<std::int64_t>(trace.block_ids.size());
  for (std::int64_t size = 1000; size < most; size *= 10) sizes.push_back(size);
  sizes.push_back(0);
  return summarize(trace, sizes);
}

PrefixReuse prefix_reuse(const Trace& trace, std::int64_t cache_blocks) {
  return replay(trace, DenseBlocks(trace), cache_blocks);
}

}  // namespace cmsim::work
