#include "cmsim/metrics/requests_csv.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "cmsim/metrics/figures.hpp"
#include "cmsim/metrics/phases.hpp"

namespace cmsim::metrics {
namespace {

using serve::Outcome;
using serve::RequestRecord;

/// The record with every time in whole microseconds (or -1).
RequestRecord in_microseconds(RequestRecord r) {
  for (Seconds* time : {&r.arrival, &r.sent, &r.cache_read_start, &r.cache_read_end,
                        &r.prefill_start, &r.prefill_end, &r.transfer_start, &r.transfer_end,
                        &r.decode_start, &r.first_token, &r.finished}) {
    if (*time >= 0) *time = std::round(*time * 1e6);
  }
  return r;
}

class Row {
 public:
  explicit Row(fmt::memory_buffer& out) : out_(out) {}

  void integer(std::int64_t value) {
    separate();
    fmt::format_int text(value);
    out_.append(text.data(), text.data() + text.size());
  }
  void integer_or_empty(std::int64_t value) { value < 0 ? separate() : integer(value); }
  void text(std::string_view value) {
    separate();
    out_.append(value);
  }
  /// Whole microseconds as seconds: 1500000 -> 1.500000.
  void seconds(double microseconds) {
    integer(static_cast<std::int64_t>(microseconds) / 1'000'000);
    auto rest = static_cast<std::int64_t>(microseconds) % 1'000'000;
    char digits[7] = {'.', '0', '0', '0', '0', '0', '0'};
    for (int i = 6; i > 0; --i, rest /= 10) digits[i] = static_cast<char>('0' + rest % 10);
    out_.append(digits, digits + 7);
  }
  void seconds_if(bool present, double microseconds) {
    present ? seconds(microseconds) : separate();
  }
  void end() { out_.push_back('\n'); }

 private:
  void separate() {
    if (!first_) out_.push_back(',');
    first_ = false;
  }
  fmt::memory_buffer& out_;
  bool first_ = true;
};

void add_row(fmt::memory_buffer& out, const RequestRecord& exact,
             const serve::RequestClass& its_class, serve::Role role) {
  const RequestRecord r = in_microseconds(exact);
  const bool finished = r.outcome == Outcome::kFinished;
  const bool decoded = finished && role != serve::Role::kPrefillOnly;
  Row row(out);
  row.integer(r.id);
  row.text(serve::to_string(r.outcome));
  row.text(r.reason == serve::Reason::kNone ? "" : serve::to_string(r.reason));
  row.text(its_class.name);
  row.integer(r.prompt_tokens);
  row.integer(r.cached_tokens);
  row.integer(r.ssd_tokens);
  row.integer(r.output_tokens);
  row.integer(r.initial_tokens);
  row.integer_or_empty(r.prefill_instance);
  row.integer_or_empty(r.decode_instance);
  row.integer_or_empty(r.decode_rank);
  row.integer(r.iterations);
  row.integer(r.preemptions);
  row.seconds_if(r.arrival >= 0, r.arrival);
  row.seconds_if(r.sent >= 0, r.sent);
  row.seconds_if(r.finished >= 0, r.finished);
  for (const Phase& phase : phases_of(r)) row.seconds_if(phase.happened(), phase.duration());
  row.seconds_if(finished, ttft(r));
  row.seconds_if(decoded && r.output_tokens > 1, std::round(tpot(r)));
  row.seconds_if(finished, e2e(r));
  row.integer(finished && check_slo(exact, its_class.limits, role).both() ? 1 : 0);
  row.integer_or_empty(r.session > 0 ? std::int64_t{r.session} : -1);
  row.integer_or_empty(r.turn > 0 ? std::int64_t{r.turn} : -1);
  row.integer_or_empty(r.after);
  row.seconds_if(r.after >= 0, std::round(r.think * 1e6));
  row.integer(r.swaps);
  row.end();
}

}  // namespace

std::string requests_csv_header() {
  std::string header =
      "id,outcome,reason,class,prompt_tokens,cached_tokens,ssd_tokens,output_tokens,initial_tokens,"
      "prefill_"
      "instance,"
      "decode_instance,decode_rank,iterations,preemptions,arrival_s,sent_s,finished_s";
  for (const std::string_view phase : kPhaseNames) header += fmt::format(",{}_s", phase);
  return header + ",ttft_s,tpot_s,e2el_s,slo_met,session,turn,after,think_s,swaps";
}

RequestsCsv::RequestsCsv(const Records& records, std::span<const serve::RequestClass> classes,
                         serve::Role role)
    : at_(records.begin()), classes_(classes), role_(role) {}

std::string_view RequestsCsv::next() {
  constexpr std::size_t kPiece = 256 * 1024;
  piece_.clear();
  if (std::exchange(at_start_, false)) {
    piece_.append(requests_csv_header());
    piece_.push_back('\n');
  }
  for (; piece_.size() < kPiece && at_ != std::default_sentinel; ++at_) {
    add_row(piece_, *at_, classes_[static_cast<std::size_t>(at_->request_class)], role_);
  }
  return {piece_.data(), piece_.size()};
}

}  // namespace cmsim::metrics
