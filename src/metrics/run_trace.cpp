#include "cmsim/metrics/run_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <queue>

#include "cmsim/metrics/chrome_events.hpp"
#include "cmsim/metrics/phases.hpp"

namespace cmsim::metrics {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kRequestProcess = 1, kPrefillProcess = 2, kDecodeProcess = 3, kTransferProcess = 4;

struct Span {
  std::int64_t begin = 0, end = 0;  // ns
  std::size_t index = 0;            // of what it stands for
};

/// The row of each span, from 0: the lowest that is free when it begins. Sorts them by begin.
std::vector<int> rows_of(std::vector<Span>& spans) {
  std::ranges::sort(spans, {}, [](const Span& span) { return std::tuple(span.begin, span.index); });
  using Busy = std::pair<std::int64_t, int>;  // until, row
  std::priority_queue<Busy, std::vector<Busy>, std::greater<>> busy;
  std::priority_queue<int, std::vector<int>, std::greater<>> free;
  int rows = 0;
  std::vector<int> found;
  for (const Span& span : spans) {
    for (; !busy.empty() && busy.top().first <= span.begin; busy.pop()) {
      free.push(busy.top().second);
    }
    if (free.empty()) free.push(rows++);
    found.push_back(free.top());
    // What has no length keeps its row for a moment all the same: two would hide each other.
    busy.emplace(std::max(span.end, span.begin + 1), free.top());
    free.pop();
  }
  return found;
}

void name_rows(ChromeEvents& events, int process, const std::vector<int>& rows, int first,
               const std::string& name) {
  const int count = rows.empty() ? 0 : *std::ranges::max_element(rows) + 1;
  for (int row = 0; row < count; ++row) {
    events.name_thread({process, first + row}, fmt::format("{} {}", name, row + 1));
  }
}

void add_request(ChromeEvents& events, ChromeThread where, const serve::RequestRecord& record,
                 const Span& span) {
  const std::string name = fmt::format("request {}", record.id);
  Json arguments{{"prompt_tokens", record.prompt_tokens},
                 {"cached_tokens", record.cached_tokens},
                 {"output_tokens", record.output_tokens},
                 {"outcome", to_string(record.outcome)}};
  if (record.prefill_instance >= 0) arguments["prefill_instance"] = record.prefill_instance;
  if (record.decode_instance >= 0) {
    arguments["decode_instance"] = record.decode_instance;
    arguments["decode_rank"] = record.decode_rank;
  }
  if (record.preemptions > 0) arguments["preemptions"] = record.preemptions;
  if (span.end <= span.begin) {
    events.instant(where, name, span.begin, arguments);
    return;
  }
  events.slice(where, name, span.begin, span.end, arguments);
  const auto phases = phases_of(record);
  for (std::size_t i = 0; i < phases.size(); ++i) {
    if (!phases[i].happened()) continue;
    const std::int64_t begin = nanoseconds(phases[i].start), end = nanoseconds(phases[i].end);
    if (end > begin) {
      events.slice(where, std::string(kPhaseNames[i]), begin, end, Json::object());
    }
  }
}

void add_requests(ChromeEvents& events, const std::vector<serve::RequestRecord>& requests,
                  Seconds last) {
  std::vector<Span> spans;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const Seconds end = requests[i].finished >= 0 ? requests[i].finished : last;
    spans.push_back({nanoseconds(requests[i].arrival), nanoseconds(end), i});
  }
  const std::vector<int> rows = rows_of(spans);
  name_rows(events, kRequestProcess, rows, 1, "request row");
  for (std::size_t i = 0; i < spans.size(); ++i) {
    add_request(events, {kRequestProcess, rows[i] + 1}, requests[spans[i].index], spans[i]);
  }
}

template <class Event, class Arguments>
void add_instances(ChromeEvents& events, int process, const std::vector<Event>& iterations,
                   const char* name, const Arguments& arguments) {
  std::int32_t instances = 0;
  for (const Event& event : iterations) instances = std::max(instances, event.instance + 1);
  for (std::int32_t i = 0; i < instances; ++i) {
    events.name_thread({process, i + 1}, fmt::format("instance {}", i));
  }
  for (const Event& event : iterations) {
    events.slice({process, event.instance + 1}, name, nanoseconds(event.start),
                 nanoseconds(event.end), arguments(event));
  }
}

void add_transfers(ChromeEvents& events, const std::vector<serve::TransferEvent>& transfers) {
  int first = 1;
  for (std::size_t kind = 0; kind < serve::kTransferKinds; ++kind) {
    const char* name = to_string(static_cast<serve::TransferKind>(kind));
    std::vector<Span> spans;
    for (std::size_t i = 0; i < transfers.size(); ++i) {
      if (static_cast<std::size_t>(transfers[i].kind) != kind) continue;
      spans.push_back({nanoseconds(transfers[i].start), nanoseconds(transfers[i].end), i});
    }
    const std::vector<int> rows = rows_of(spans);
    name_rows(events, kTransferProcess, rows, first, name);
    for (std::size_t i = 0; i < spans.size(); ++i) {
      const ChromeThread where{kTransferProcess, first + rows[i]};
      const Json arguments{{"bytes", transfers[spans[i].index].bytes}};
      if (spans[i].end > spans[i].begin) {
        events.slice(where, name, spans[i].begin, spans[i].end, arguments);
      } else {
        events.instant(where, name, spans[i].begin, arguments);
      }
    }
    if (!rows.empty()) first += *std::ranges::max_element(rows) + 1;
  }
}

}  // namespace

bool RunTrace::keeps(Seconds start, Seconds end) {
  last_ = std::max(last_, end);
  if (end < options_.from || start > options_.to) return false;
  if (kept_ == kMostSpans) {
    ++left_out_;
    return false;
  }
  ++kept_;
  return true;
}

void RunTrace::on_request_end(const serve::RequestRecord& record) {
  if (record.sent < 0 || record.id % options_.every != 0) return;
  const Seconds end = record.finished >= 0 ? record.finished : std::max(last_, record.sent);
  if (keeps(record.arrival, end)) requests_.push_back(record);
}

void RunTrace::on_prefill_batch(const serve::PrefillBatchEvent& event) {
  if (keeps(event.start, event.end)) batches_.push_back(event);
}

void RunTrace::on_decode_step(const serve::DecodeStepEvent& event) {
  if (keeps(event.start, event.end)) steps_.push_back(event);
}

void RunTrace::on_transfer(const serve::TransferEvent& event) {
  if (seen_[static_cast<std::size_t>(event.kind)]++ % options_.every != 0) return;
  if (keeps(event.start, event.end)) transfers_.push_back(event);
}

std::string RunTrace::text() const {
  ChromeEvents events;
  events.name_process(kRequestProcess, "requests");
  events.name_process(kPrefillProcess, "prefill");
  events.name_process(kDecodeProcess, "decode");
  events.name_process(kTransferProcess, "transfers");
  for (const std::string& fault : options_.faults) {
    events.instant_of_all(fault, nanoseconds(options_.from));
  }
  add_requests(events, requests_, last_);
  add_instances(events, kPrefillProcess, batches_, "batch", [](const auto& event) {
    return Json{{"sequences", event.sequences},
                {"new_tokens", event.new_tokens},
                {"cached_tokens", event.cached_tokens}};
  });
  add_instances(events, kDecodeProcess, steps_, "step", [](const auto& event) {
    return Json{{"sequences", event.sequences},
                {"output_tokens", event.tokens},
                {"kv_tokens", event.kv_tokens}};
  });
  add_transfers(events, transfers_);
  return events.text();
}

}  // namespace cmsim::metrics
