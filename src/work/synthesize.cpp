#include "cmsim/work/synthesize.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

#include "arrivals.hpp"
#include "clipped_lognormal.hpp"
#include "cmsim/base/error.hpp"

namespace cmsim::work {
namespace {

void check(const SynthesisSpec& spec) {
  const auto require = [](bool fits, const char* pointer, const std::string& message) {
    if (!fits) throw ConfigError({.file = "", .line = 0, .pointer = pointer}, message);
  };
  require(spec.block_size >= 1, "/block_size",
          fmt::format("found {}, allowed is at least 1", spec.block_size));
  const auto is_probability = [](double p) { return p >= 0 && p <= 1; };
  require(spec.requests >= 0 && spec.requests <= kMostRequests, "/requests",
          fmt::format("found {}, allowed is 0 to {}", spec.requests, kMostRequests));
  require(spec.duration >= 0 && std::isfinite(spec.duration), "/duration",
          "allowed is 0 s or more");
  require(spec.requests > 0 || spec.duration > 0, "/requests",
          "is not given, nor is a duration, and one must be");
  require(spec.requests > 0 || spec.duration * spec.arrivals.rate <= double{kMostRequests},
          "/duration", fmt::format("asks for more than {} requests", kMostRequests));
  const ArrivalKind kind = spec.arrivals.kind;
  require(kind == ArrivalKind::kPoisson || kind == ArrivalKind::kGamma ||
              kind == ArrivalKind::kConstant,
          "/arrivals/kind",
          fmt::format("found {}, allowed are poisson, gamma, constant", name_of(kind)));
  require(spec.prompt.maximum <= spec.max_prompt, "/prompt/maximum",
          fmt::format("found {}, allowed is at most the longest prompt ({})", spec.prompt.maximum,
                      spec.max_prompt));
  require(spec.max_prompt <= kMostTokens && spec.max_prompt / spec.block_size < kMostBlocks,
          "/max_prompt",
          fmt::format("found {}, allowed is at most 2147483647 and {} blocks", spec.max_prompt,
                      kMostBlocks));
  require(spec.continue_probability >= 0 && spec.continue_probability < 1, "/continue_probability",
          fmt::format("found {}, allowed is 0 to below 1", spec.continue_probability));
  require(spec.think_time >= 0, "/think_time", "allowed is 0 s or more");
  require(spec.answer_seconds_per_token >= 0, "/answer_seconds_per_token",
          "allowed is 0 s or more");
  require(spec.warm_up >= 0 && spec.warm_up * spec.arrivals.rate <= double{kMostRequests},
          "/warm_up", "allowed is 0 s or more, and not millions of requests");
  require(is_probability(spec.shared_probability), "/shared_probability",
          fmt::format("found {}, allowed is 0 to 1", spec.shared_probability));
  require(
      spec.shared_prompts >= (spec.shared_probability > 0 ? 1 : 0) &&
          spec.shared_prompts <= 1'000'000,
      "/shared_prompts",
      fmt::format("found {}, allowed is 1 to 1000000 (0 without sharing)", spec.shared_prompts));
  require(spec.shared_blocks >= 1 && spec.shared_blocks <= 1'000'000, "/shared_blocks",
          fmt::format("found {}, allowed is 1 to 1000000", spec.shared_blocks));
  require(std::isfinite(spec.zipf) && spec.zipf >= 0, "/zipf", "allowed is 0 or more");
}

/// A session whose user will send another turn.
struct Session {
  Seconds due = 0;
  std::int64_t order = 0;             // breaks ties
  std::int64_t history = 0;           // tokens of the last prompt and its answer
  std::vector<std::uint64_t> blocks;  // full blocks of the last prompt
};

struct DueLater {
  bool operator()(const Session& a, const Session& b) const {
    return a.due != b.due ? a.due > b.due : a.order > b.order;
  }
};

class Synthesizer {
 public:
  Synthesizer(const SynthesisSpec& spec, std::uint64_t seed)
      : spec_(spec),
        prompt_(spec.prompt, "/prompt"),
        output_(spec.output, "/output"),
        lengths_(seed, "work/synthesize/lengths"),
        sessions_(seed, "work/synthesize/sessions"),
        next_block_(static_cast<std::uint64_t>(spec.shared_prompts * spec.shared_blocks)) {
    for (std::int64_t i = 1; i <= spec.shared_prompts; ++i) {
      popularity_.push_back(std::pow(static_cast<double>(i), -spec.zipf) +
                            (popularity_.empty() ? 0 : popularity_.back()));
    }
  }

  /// The request that arrives at `now`; its session may come back later.
  TraceRow request(Seconds now, std::vector<std::uint64_t>& block_ids) {
    const std::int64_t added = prompt_.draw(lengths_);
    const std::int64_t output = output_.draw(lengths_);
    Session session = due_session(now, added);
    const std::int64_t prompt = session.history + added;
    const TraceRow row = append(now, prompt, output, session.blocks, block_ids);
    if (sessions_.bernoulli(spec_.continue_probability)) {
      session.due = now + spec_.answer_seconds_per_token * static_cast<double>(output) +
                    (spec_.think_time > 0 ? sessions_.exponential(spec_.think_time) : 0);
      session.order = order_++;
      session.history = prompt + output;
      const auto full = static_cast<std::ptrdiff_t>(prompt / spec_.block_size);
      const auto first = block_ids.begin() + static_cast<std::ptrdiff_t>(row.first_block);
      session.blocks.assign(first, first + full);
      waiting_.push(std::move(session));
    }
    return row;
  }

 private:
  /// The session that has waited longest for its next turn, else a new one.
  Session due_session(Seconds now, std::int64_t added) {
    while (!waiting_.empty() && waiting_.top().due <= now) {
      Session session = waiting_.top();
      waiting_.pop();
      if (session.history + added <= spec_.max_prompt) return session;
    }
    Session session;
    const std::int64_t shared = spec_.shared_blocks * spec_.block_size;
    if (spec_.shared_probability > 0 && sessions_.bernoulli(spec_.shared_probability) &&
        shared + added <= spec_.max_prompt) {
      const double at = sessions_.uniform() * popularity_.back();
      const auto found = std::upper_bound(popularity_.begin(), popularity_.end() - 1, at);
      const auto first =
          static_cast<std::uint64_t>((found - popularity_.begin()) * spec_.shared_blocks);
      for (std::int64_t i = 0; i < spec_.shared_blocks; ++i) {
        session.blocks.push_back(first + static_cast<std::uint64_t>(i));
      }
      session.history = shared;
    }
    return session;
  }

  TraceRow append(Seconds now, std::int64_t prompt, std::int64_t output,
                  const std::vector<std::uint64_t>& shared, std::vector<std::uint64_t>& block_ids) {
    const auto count = static_cast<std::size_t>((prompt + spec_.block_size - 1) / spec_.block_size);
    const TraceRow row{.arrival = now,
                       .prompt_tokens = static_cast<std::int32_t>(prompt),
                       .output_tokens = static_cast<std::int32_t>(output),
                       .first_block = static_cast<std::uint32_t>(block_ids.size()),
                       .block_count = static_cast<std::uint32_t>(count)};
    block_ids.insert(block_ids.end(), shared.begin(), shared.end());
    for (std::size_t i = shared.size(); i < count; ++i) block_ids.push_back(next_block_++);
    return row;
  }

  const SynthesisSpec& spec_;
  ClippedLognormal prompt_, output_;
  RandomStream lengths_, sessions_;
  std::uint64_t next_block_;
  std::vector<double> popularity_;  // cumulative
  std::priority_queue<Session, std::vector<Session>, DueLater> waiting_;
  std::int64_t order_ = 0;
};

}  // namespace

Trace synthesize(const SynthesisSpec& spec, std::uint64_t seed) {
  check(spec);
  ArrivalProcess arrivals(spec.arrivals, "/arrivals",
                          RandomStream(seed, "work/synthesize/arrivals"));
  Synthesizer synthesizer(spec, seed);
  Trace trace;
  trace.name = "synthesized";
  trace.format = "synthetic";
  trace.block_size = spec.block_size;
  const auto wanted = static_cast<std::size_t>(spec.requests > 0 ? spec.requests : kMostRequests);
  const Seconds end = spec.duration > 0 ? spec.duration : std::numeric_limits<Seconds>::infinity();
  while (trace.rows.size() < wanted) {
    const Seconds now = arrivals.next() - spec.warm_up;
    if (now >= end) break;
    if (now > kLatestStamp) {
      throw ConfigError({.file = "", .line = 0, .pointer = "/arrivals/rate"},
                        fmt::format("found {:g}, at which requests arrive after {:g} s, the latest "
                                    "a trace holds",
                                    spec.arrivals.rate, kLatestStamp));
    }
    const TraceRow row = synthesizer.request(now, trace.block_ids);
    if (now >= 0) {
      trace.rows.push_back(row);
    } else {
      trace.block_ids.resize(row.first_block);
    }
    if (static_cast<std::int64_t>(trace.block_ids.size()) > kMostBlocks) {
      throw ConfigError({.file = "", .line = 0, .pointer = "/block_size"},
                        fmt::format("found {}, at which the trace has more than {} blocks; choose "
                                    "larger ones or ask for fewer requests",
                                    spec.block_size, kMostBlocks));
    }
  }
  return trace;
}

}  // namespace cmsim::work
