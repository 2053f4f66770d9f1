#include "cmsim/serve/cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cmsim/base/error.hpp"
#include "cmsim/serve/cluster_state.hpp"
#include "cmsim/serve/decode_pool.hpp"
#include "cmsim/serve/mtp.hpp"
#include "cmsim/serve/policy_guard.hpp"
#include "cmsim/serve/prefill_pool.hpp"

namespace cmsim::serve {
namespace {

/// The times of a request never decrease, so its phases add up to its latency.
void check_phases(const RequestRecord& r) {
  Seconds last = r.arrival;
  for (const Seconds time :
       {r.sent, r.cache_read_start, r.cache_read_end, r.prefill_start, r.prefill_end,
        r.transfer_start, r.transfer_end, r.decode_start, r.first_token, r.finished}) {
    if (time < 0) continue;
    require(time >= last, "the phases of a request follow each other");
    last = time;
  }
}

}  // namespace

class Cluster::Impl {
 public:
  Impl(coll::Runtime& runtime, const hw::Platform& platform, const ClusterConfig& config,
       const StepModels& models, Policies policies, const work::Trace& trace);
  ~Impl() { destroy(policies_); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start();
  void finish(RunEnd end);

  ClusterState state;

 private:
  bool limited() const { return state.config.concurrency > 0; }
  bool trace_left() const { return next_row_ < state.requests.size(); }

  // The client.
  void wait_for_next_arrival();
  void send_due();
  void send(RequestIndex index);
  void put_under_way(Request& request);

  // A request's way through the parts.
  void prefilled(RequestIndex index);
  void preempted(RequestIndex index);
  void end(RequestIndex index, Outcome outcome, Reason reason);

  void check_totals(RunEnd end) const;
  [[noreturn]] void complain_of_waiting() const;

  Policies policies_;
  std::optional<PrefillPool> prefill_;
  std::optional<DecodePool> decode_;
  RandomStream mtp_random_;
  std::size_t next_row_ = 0;
  std::int64_t in_system_ = 0;
  bool sending_ = false;
  bool arrival_scheduled_ = false;
};

Cluster::Impl::Impl(coll::Runtime& runtime, const hw::Platform& platform,
                    const ClusterConfig& config, const StepModels& models, Policies policies,
                    const work::Trace& trace)
    : state{.runtime = runtime,
            .trace = trace,
            .config = config,
            .placement = place(config.deployment, platform, config.role),
            .listeners = {},
            .totals = {},
            .requests = {},
            .last_queue = {}},
      policies_(std::move(policies)),
      mtp_random_(config.seed, "serve/mtp") {
  if (has_prefill_instances(config.role)) {
    prefill_.emplace(state, *models.prefill, policies_,
                     [this](RequestIndex index) { prefilled(index); });
  }
  if (has_decode_instances(config.role)) {
    DecodePool::Hooks hooks{
        .pulled = [this](RequestIndex index) { prefill_->release_kv(index); },
        .finished = [this](RequestIndex index) { end(index, Outcome::kFinished, Reason::kNone); },
        .preempted = [this](RequestIndex index) { preempted(index); },
        .outgrown =
            [this](RequestIndex index) { end(index, Outcome::kFailed, Reason::kOutputExceedsKv); }};
    decode_.emplace(state, *models.decode, policies_, std::move(hooks));
  }
  state.requests.resize(trace.rows.size());
  state.totals.requests = static_cast<std::int64_t>(trace.rows.size());
  for (std::size_t row = 0; row < trace.rows.size(); ++row) {
    RequestRecord& record = state.requests[row].record;
    record.id = static_cast<std::int64_t>(row);
    record.prompt_tokens = trace.rows[row].prompt_tokens;
    record.output_tokens = trace.rows[row].output_tokens;
    record.arrival = trace.rows[row].arrival;
    record.request_class = trace.rows[row].request_class;
    record.sent = -1;
  }
}

void Cluster::Impl::start() { wait_for_next_arrival(); }

/// Schedules send_due() for the next row of the trace, unless a request in flight must end first.
void Cluster::Impl::wait_for_next_arrival() {
  if (arrival_scheduled_ || !trace_left()) return;
  if (limited() && in_system_ >= state.config.concurrency) return;
  arrival_scheduled_ = true;
  const Seconds due = state.trace.rows[next_row_].arrival;
  state.runtime.schedule_at(std::max(due, state.now()), coll::Priority::kArrival, [this] {
    arrival_scheduled_ = false;
    send_due();
    state.flush_queue();
  });
}

void Cluster::Impl::send_due() {
  if (std::exchange(sending_, true)) return;  // a request rejected at once ends while we send
  while (trace_left() && state.trace.rows[next_row_].arrival <= state.now() &&
         (!limited() || in_system_ < state.config.concurrency)) {
    send(static_cast<RequestIndex>(next_row_++));
  }
  sending_ = false;
  wait_for_next_arrival();
}

void Cluster::Impl::send(RequestIndex index) {
  Request& request = state.request(index);
  RequestRecord& record = request.record;
  record.sent = state.now();
  if (state.config.closed_loop) record.arrival = record.sent;
  ++state.totals.sent;
  ++in_system_;
  request.context = record.prompt_tokens;
  if (decode_) {
    const bool is_under_way = static_cast<std::size_t>(index) < state.trace.progress.size();
    request.samples_first = state.config.role == Role::kMixed && !is_under_way;
    request.to_decode = record.output_tokens - (request.samples_first ? 1 : 0);
    if (request.to_decode > 0) {
      request.iterations = draw_iterations(request.to_decode, state.config.mtp, mtp_random_);
      request.growth = to_fixed(request.to_decode) / request.iterations;
    }
  }
  put_under_way(request);
  request.kv_in_place = state.config.role == Role::kDecodeOnly || record.initial_tokens > 0;
  state.listeners.emit(&Listener::on_request_sent, record);
  if ((prefill_ && !prefill_->can_hold(record.prompt_tokens)) ||
      (decode_ && !decode_->can_hold(record.prompt_tokens))) {
    end(index, Outcome::kRejected, Reason::kPromptExceedsKv);
  } else if (decode_ && !decode_->can_hold(request.context)) {
    end(index, Outcome::kFailed, Reason::kOutputExceedsKv);
  } else if (prefill_ && !request.kv_in_place) {
    if (!prefill_->enqueue(index)) end(index, Outcome::kRejected, Reason::kRejectedEarly);
  } else {
    decode_->enqueue(index);
  }
}

/// A request of the first population has a part of its output, in whole iterations; one that has
/// none comes like any other.
void Cluster::Impl::put_under_way(Request& request) {
  const auto row = static_cast<std::size_t>(request.record.id);
  if (!decode_ || row >= state.trace.progress.size()) return;
  request.iterations_before_join = static_cast<std::int64_t>(
      state.trace.progress[row] * static_cast<double>(request.iterations));
  const Tokens generated = whole_tokens(request.iterations_before_join * request.growth);
  request.record.initial_tokens = generated;
  request.context += generated;
}

void Cluster::Impl::prefilled(RequestIndex index) {
  if (decode_) {
    decode_->enqueue(index);
    return;
  }
  prefill_->release_kv(index);
  RequestRecord& record = state.request(index).record;
  record.first_token = record.prefill_end;
  end(index, Outcome::kFinished, Reason::kNone);
}

void Cluster::Impl::preempted(RequestIndex index) {
  Request& request = state.request(index);
  request.kv_in_place = state.config.role == Role::kDecodeOnly;
  if (!prefill_) {
    decode_->enqueue(index);
  } else if (prefill_->can_hold(request.context)) {
    prefill_->enqueue(index);
  } else {
    end(index, Outcome::kFailed, Reason::kOutputExceedsKv);
  }
}

void Cluster::Impl::end(RequestIndex index, Outcome outcome, Reason reason) {
  Request& request = state.request(index);
  RequestRecord& record = request.record;
  require(request.stage != Stage::kEnded, "a request ends once");
  request.stage = Stage::kEnded;
  record.outcome = outcome;
  record.reason = reason;
  if (outcome != Outcome::kUnfinished) {
    record.finished = state.now();
    --in_system_;
  }
  check_phases(record);
  switch (outcome) {
    case Outcome::kFinished:
      ++state.totals.finished;
      break;
    case Outcome::kRejected:
      ++state.totals.rejected;
      break;
    case Outcome::kFailed:
      ++state.totals.failed;
      break;
    case Outcome::kUnfinished:
      ++state.totals.unfinished;
      break;
  }
  state.listeners.emit(&Listener::on_request_end, record);
  if (limited() && outcome != Outcome::kUnfinished) send_due();
}

void Cluster::Impl::finish(RunEnd run_end) {
  const ClusterTotals& totals = state.totals;
  const std::int64_t left = totals.requests - totals.finished - totals.rejected - totals.failed;
  if (run_end == RunEnd::kDrained && left > 0) complain_of_waiting();
  if (prefill_) {
    require(totals.prefill_kv_reserved - totals.prefill_kv_released == prefill_->kv_reserved(),
            "prefill KV reserved = released + held");
  }
  if (decode_) decode_->check_balance();
  for (std::size_t row = 0; row < state.requests.size(); ++row) {
    const Request& request = state.requests[row];
    if (request.stage == Stage::kEnded) continue;
    end(static_cast<RequestIndex>(row), Outcome::kUnfinished,
        request.stage == Stage::kNotSent ? Reason::kNotSent : Reason::kInterrupted);
  }
  check_totals(run_end);
}

/// Nothing is under way and requests are left: policies said "wait" until there was nothing to wait
/// for.
void Cluster::Impl::complain_of_waiting() const {
  const auto in_stage = [this](Stage stage) {
    return std::count_if(state.requests.begin(), state.requests.end(),
                         [stage](const Request& request) { return request.stage == stage; });
  };
  const auto to_prefill = in_stage(Stage::kPrefillQueue), to_decode = in_stage(Stage::kDecodeQueue);
  require(to_prefill + to_decode > 0, "a request that is left over waits for a policy");
  std::string message = "requests never ended, a policy lets them wait for ever:";
  if (to_prefill > 0) {
    message +=
        fmt::format(" {} waiting for {}", to_prefill, title(policies_.get<PrefillBatching>()));
  }
  if (to_decode > 0) {
    message +=
        fmt::format("{} {} waiting for {} or {}", to_prefill > 0 ? " and" : "", to_decode,
                    title(policies_.get<DecodeAdmission>()), title(policies_.get<DecodeRouting>()));
  }
  const auto left = state.requests.size() - static_cast<std::size_t>(in_stage(Stage::kEnded));
  throw SimulationError(
      fmt::format("{} of {} {} at {:.9g} s", left, state.requests.size(), message, state.now()));
}

void Cluster::Impl::check_totals(RunEnd run_end) const {
  const ClusterTotals& t = state.totals;
  require(t.requests == t.finished + t.rejected + t.failed + t.unfinished,
          "requests in = finished + rejected + failed + unfinished");
  if (run_end == RunEnd::kInterrupted) return;
  require(t.sent == t.requests && in_system_ == 0, "every request was sent and has left");
  require(t.prefill_kv_reserved == t.prefill_kv_released, "prefill KV reserved = released");
  require(state.in_prefill == 0 && state.prefill_running == 0 && state.decode_waiting == 0 &&
              state.decode_running == 0 && state.decode_kv_reserved == 0,
          "every queue is empty at the end");
  if (decode_) decode_->check_empty();
}

Cluster::Cluster(coll::Runtime& runtime, const hw::Platform& platform, const ClusterConfig& config,
                 const StepModels& models, Policies policies, const work::Trace& trace)
    : impl_(std::make_unique<Impl>(runtime, platform, config, models, std::move(policies), trace)) {
}
Cluster::~Cluster() = default;

void Cluster::add_listener(Listener& listener) { impl_->state.listeners.add(listener); }
void Cluster::start() { impl_->start(); }
void Cluster::finish(RunEnd end) { impl_->finish(end); }
const ClusterTotals& Cluster::totals() const { return impl_->state.totals; }
std::int64_t Cluster::ended() const {
  const ClusterTotals& t = impl_->state.totals;
  return t.finished + t.rejected + t.failed + t.unfinished;
}

}  // namespace cmsim::serve
