#include "sessions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <unordered_map>

#include "clipped_lognormal.hpp"
#include "cmsim/base/error.hpp"
#include "resample.hpp"

namespace cmsim::work {
namespace {

const std::string kPointer = "/workload/sessions";

[[noreturn]] void fail_draw(const std::string& key, const std::string& message) {
  throw ConfigError({.file = "", .line = 0, .pointer = kPointer + key}, message);
}

/// Lognormal of the mean and coefficient of variation.
class ThinkTimes {
 public:
  explicit ThinkTimes(const SessionDraw& draw)
      : mean_(draw.think_mean), deviation_(std::sqrt(std::log1p(draw.think_cv * draw.think_cv))) {}
  Seconds draw(RandomStream& random) const {
    if (mean_ <= 0 || deviation_ <= 0) return mean_;
    return random.lognormal(std::log(mean_) - deviation_ * deviation_ / 2, deviation_);
  }

 private:
  Seconds mean_;
  double deviation_;
};

class SessionSource {
 public:
  SessionSource(const SessionDraw& draw, int block_size, Seconds answer_time_per_token,
                std::uint64_t seed)
      : draw_(draw),
        block_size_(block_size),
        answer_time_(answer_time_per_token),
        turns_(draw.turns, kPointer + "/turns"),
        prompt_(draw.prompt, kPointer + "/prompt"),
        output_(draw.output, kPointer + "/output"),
        think_(draw),
        counts_(seed, "work/sessions/turns"),
        lengths_(seed, "work/sessions/lengths"),
        thoughts_(seed, "work/sessions/think"),
        next_block_(static_cast<std::uint64_t>(draw.shared_prompt / block_size)) {
    if (draw.shared_prompt + draw.prompt.maximum > draw.longest) {
      fail_draw("/max_prompt",
                fmt::format("found {}, the shared and the longest new prompt have {} tokens",
                            draw.longest, draw.shared_prompt + draw.prompt.maximum));
    }
  }

  /// The turns of one more session, `most` of them at most.
  void add_to(Trace& trace, std::size_t most) {
    const std::int64_t turns = turns_.draw(counts_);
    std::int64_t history = draw_.shared_prompt;
    std::vector<std::uint64_t> known;  // full blocks of the prompt before
    for (std::int64_t i = 0; i < history / block_size_; ++i) {
      known.push_back(static_cast<std::uint64_t>(i));
    }
    Seconds arrival = 0;
    ++session_;
    for (std::uint32_t turn = 1; turn <= turns && trace.rows.size() < most; ++turn) {
      const std::int64_t prompt = history + prompt_.draw(lengths_);
      const std::int64_t output = output_.draw(lengths_);
      if (prompt > draw_.longest) return;
      append(trace,
             {.arrival = arrival,
              .prompt_tokens = static_cast<std::int32_t>(prompt),
              .output_tokens = static_cast<std::int32_t>(output),
              .session = session_,
              .turn = turn,
              .answers = turn - 1},
             known);
      history = prompt + output;
      arrival += answer_time_ * static_cast<double>(output) + think_.draw(thoughts_);
    }
  }

 private:
  /// Afterwards `known` has the full blocks of this prompt.
  void append(Trace& trace, TraceRow row, std::vector<std::uint64_t>& known) {
    const std::int64_t full = row.prompt_tokens / block_size_;
    row.first_block = static_cast<std::uint32_t>(trace.block_ids.size());
    row.block_count = static_cast<std::uint32_t>(full + (row.prompt_tokens % block_size_ ? 1 : 0));
    if (static_cast<std::int64_t>(trace.block_ids.size() + row.block_count) > kMostBlocks) {
      throw ConfigError({.file = "", .line = 0, .pointer = "/workload/requests"},
                        fmt::format("the prompts have more than {} blocks; ask for fewer requests "
                                    "or a larger /workload/block_size",
                                    kMostBlocks));
    }
    while (static_cast<std::int64_t>(known.size()) < full) known.push_back(next_block_++);
    trace.block_ids.insert(trace.block_ids.end(), known.begin(), known.end());
    if (row.block_count > known.size()) trace.block_ids.push_back(next_block_++);
    trace.rows.push_back(row);
  }

  const SessionDraw& draw_;
  std::int64_t block_size_;
  Seconds answer_time_;
  ClippedLognormal turns_, prompt_, output_;
  ThinkTimes think_;
  RandomStream counts_, lengths_, thoughts_;
  std::uint64_t next_block_;
  std::uint32_t session_ = 0;
};

constexpr std::uint64_t turn_key(std::uint32_t session, std::uint32_t turn) {
  return std::uint64_t{session} << 32 | turn;
}

/// Block ids stay where they are: a row says where its own begin.
void sort_by_arrival(Trace& trace) { std::ranges::stable_sort(trace.rows, {}, &TraceRow::arrival); }

}  // namespace

Trace draw_sessions(const SessionDraw& draw, std::int64_t requests, int block_size,
                    Seconds answer_time_per_token, std::uint64_t seed) {
  Trace trace;
  trace.name = fmt::format("{} requests of sessions", requests);
  trace.format = "sessions";
  trace.block_size = block_size;
  SessionSource source(draw, block_size, answer_time_per_token, seed);
  const auto most = static_cast<std::size_t>(requests);
  while (trace.rows.size() < most) source.add_to(trace, most);
  return trace;
}

bool name_sessions(Trace& trace) {
  const auto is_named = [](const TraceRow& row) { return row.session != 0; };
  if (std::ranges::any_of(trace.rows, is_named)) return true;
  if (!trace.has_blocks()) return false;
  const std::vector<std::size_t> of_row = find_sessions(trace).of_row;
  std::vector<std::uint32_t> turns(trace.rows.size());  // by first row
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    const std::uint32_t turn = ++turns[of_row[row]];
    trace.rows[row].session = static_cast<std::uint32_t>(of_row[row]) + 1;
    trace.rows[row].turn = turn;
    trace.rows[row].answers = turn - 1;
  }
  return true;
}

std::vector<std::int32_t> predecessors(const Trace& trace) {
  std::vector<std::int32_t> before(trace.rows.size(), -1);
  std::unordered_map<std::uint64_t, std::int32_t> row_of;
  for (std::size_t i = 0; i < trace.rows.size(); ++i) {
    const TraceRow& row = trace.rows[i];
    if (row.turn == 0) continue;
    if (const auto found = row_of.find(turn_key(row.session, row.answers)); found != row_of.end()) {
      before[i] = found->second;
    }
    row_of.emplace(turn_key(row.session, row.turn), static_cast<std::int32_t>(i));
  }
  return before;
}

void redate(Trace& trace, const std::function<Seconds()>& next, bool around) {
  const std::vector<std::int32_t> before = predecessors(trace);
  std::vector<Seconds> dates(trace.rows.size());
  for (std::size_t i = 0; i < dates.size(); ++i) {
    if (before[i] < 0) {
      dates[i] = next();
      continue;
    }
    const auto first = static_cast<std::size_t>(before[i]);
    dates[i] = dates[first] + trace.rows[i].arrival - trace.rows[first].arrival;
  }
  const Seconds length = around ? next() : std::numeric_limits<Seconds>::infinity();
  for (std::size_t i = 0; i < dates.size(); ++i) {
    trace.rows[i].arrival = around && length > 0 ? std::fmod(dates[i], length) : dates[i];
  }
  sort_by_arrival(trace);
}

void let_turns_wait(Trace& trace, Seconds answer_time_per_token) {
  const std::vector<std::int32_t> before = predecessors(trace);
  trace.waits.resize(trace.rows.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] < 0) continue;
    const TraceRow& answered = trace.rows[static_cast<std::size_t>(before[i])];
    const Seconds gap = trace.rows[i].arrival - answered.arrival;
    trace.waits[i] = {
        before[i],
        std::max(0.0, gap - answer_time_per_token * static_cast<double>(answered.output_tokens))};
  }
}

}  // namespace cmsim::work
