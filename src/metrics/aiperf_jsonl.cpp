#include "cmsim/metrics/aiperf_jsonl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "cmsim/base/json_text.hpp"
#include "cmsim/metrics/output_gaps.hpp"
#include "cmsim/metrics/phases.hpp"

namespace cmsim::metrics {
namespace {

using serve::Outcome;
using serve::RequestRecord;

class Record {
 public:
  explicit Record(fmt::memory_buffer& out) : out_(out) {}

  /// What the client saw of the request, by whom and when.
  void metadata(const RequestRecord& r) {
    const bool cancelled = r.outcome == Outcome::kUnfinished;
    // A first population that was under way when the run began is none of what is measured.
    const char* phase = r.initial_tokens > 0 ? "warmup" : "profiling";
    const std::string end = r.finished >= 0 ? nanoseconds(r.finished) : "null";
    const std::int64_t conversation = r.session > 0 ? std::int64_t{r.session} : r.id;
    append(R"({{"metadata":{{"session_num":{0},"x_request_id":"{0}","x_correlation_id":"{0}",)",
           r.id);
    append(R"("conversation_id":"{}","turn_index":{},"request_start_ns":{},)", conversation,
           std::max<std::int64_t>(r.turn, 1) - 1, nanoseconds(r.sent));
    append(R"("request_ack_ns":null,"request_end_ns":{},"worker_id":"cmsim",)", end);
    append(R"("record_processor_id":"cmsim","benchmark_phase":"{}","was_cancelled":{},)", phase,
           cancelled);
    append(R"("cancellation_time_ns":null}},"metrics":{{)");
  }

  void metric(const char* name, const std::string& value, const char* unit) {
    append(R"({}"{}":{{"value":{},"unit":"{}"}})", separator_, name, value, unit);
    separator_ = ",";
  }
  void milliseconds(const char* name, Seconds value) { metric(name, in_ms(value), "ms"); }
  void tokens(const char* name, Tokens value) { metric(name, std::to_string(value), "tokens"); }

  void end(const std::string& error) { append("}},\"error\":{}}}\n", error); }

  static std::string in_ms(Seconds seconds) { return number_text(seconds * 1e3); }

 private:
  static std::string nanoseconds(Seconds seconds) {
    return std::to_string(std::llround(seconds * 1e9));
  }
  template <class... Args>
  void append(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  fmt::memory_buffer& out_;
  const char* separator_ = "";
};

std::string list_of(const std::vector<Seconds>& gaps) {
  std::string list = "[";
  for (const Seconds gap : gaps) {
    if (list.size() > 1) list += ',';
    list += Record::in_ms(gap);
  }
  return list + "]";
}

/// `gaps` only where they are asked for.
void add_metrics(Record& record, const RequestRecord& r, serve::Role role, const OutputGaps* gaps) {
  const bool decoded = role != serve::Role::kPrefillOnly;
  const Tokens output = decoded ? r.output_tokens : 1;
  record.tokens("input_sequence_length", r.prompt_tokens);
  record.tokens("output_sequence_length", output);
  record.milliseconds("time_to_first_token", ttft(r));
  record.milliseconds("request_latency", e2e(r));
  if (output > 1) {
    record.milliseconds("inter_token_latency", tpot(r));
    if (tpot(r) > 0) {
      record.metric("output_token_throughput_per_user", number_text(1 / tpot(r)),
                    "tokens/sec/user");
    }
  }
  if (gaps != nullptr && decoded) {
    record.metric("inter_chunk_latency", list_of(gaps->of(r)), "ms");
  }
}

}  // namespace

std::string aiperf_jsonl(const Result& result, serve::Role role, Detail detail) {
  fmt::memory_buffer out;
  out.reserve(result.records.size() * 640);
  std::optional<OutputGaps> gaps;
  if (detail == Detail::kPerRequest) gaps.emplace(result);
  for (const RequestRecord& r : result.records) {
    if (r.sent < 0) continue;
    Record record(out);
    record.metadata(r);
    if (r.outcome == Outcome::kFinished) {
      add_metrics(record, r, role, gaps ? &*gaps : nullptr);
      record.end("null");
    } else {
      record.tokens("error_isl", r.prompt_tokens);
      record.end(fmt::format(R"({{"code":null,"type":"{}","message":"{}"}})",
                             serve::to_string(r.outcome), serve::to_string(r.reason)));
    }
  }
  return {out.data(), out.size()};
}

}  // namespace cmsim::metrics
