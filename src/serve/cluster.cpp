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
#include "cmsim/serve/role_switching.hpp"
#include "due_requests.hpp"

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

/// Instances are numbered on over the supernodes.
std::vector<Supernode> supernodes_of(std::vector<Placement> placements) {
  std::vector<Supernode> supernodes;
  std::int32_t prefill = 0, decode = 0;
  for (Placement& placement : placements) {
    Supernode& supernode = supernodes.emplace_back();
    supernode.first_prefill =
        std::exchange(prefill, prefill + static_cast<std::int32_t>(placement.prefill.size()));
    supernode.first_decode =
        std::exchange(decode, decode + static_cast<std::int32_t>(placement.decode.size()));
    supernode.placement = std::move(placement);
  }
  return supernodes;
}

}  // namespace

class Cluster::Impl : private SupernodeForecast {
 public:
  Impl(coll::Runtime& runtime, const hw::Platform& platform, const ClusterConfig& config,
       const StepModels& models, std::vector<Policies> policies, const work::Trace& trace);
  ~Impl() {
    for (Policies& policies : policies_) destroy(policies);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void start();
  void finish(RunEnd end);

  ClusterState state;

 private:
  /// What serves on a supernode.
  struct Part {
    std::optional<PrefillPool> prefill;
    std::optional<DecodePool> decode;
  };
  void add_part(std::size_t number, const StepModels& models);
  Part& part_of(const Request& request) {
    return *parts_[static_cast<std::size_t>(request.supernode)];
  }
  std::int32_t route(RequestIndex index);
  Tokens cached_tokens(const RequestView& request, std::int32_t supernode) const override;

  bool limited() const { return state.config.concurrency > 0; }

  // The client.
  void wait_for_next_arrival();
  void send_due();
  Request& open(RequestIndex index);
  void send(RequestIndex index);
  void plan_output(Request& request);
  void draw_iterations_of(Request& request, Tokens to_decode);
  void put_under_way(Request& request);

  // A request's way through the parts.
  void prefilled(RequestIndex index);
  void preempted(RequestIndex index);
  void end(RequestIndex index, Outcome outcome, Reason reason);

  void check_totals(RunEnd end) const;
  [[noreturn]] void complain_of_waiting() const;

  bool decodes_;
  std::vector<Policies> policies_;  // by supernode
  std::vector<std::unique_ptr<Part>> parts_;
  std::vector<std::unique_ptr<RoleSwitching>> role_switching_;  // likewise, where roles can change
  RandomStream mtp_random_;
  DueRequests due_;
  std::int64_t in_system_ = 0;
  bool sending_ = false;
  struct Arrival {
    Seconds at = 0;
    coll::EventId event = {};
  };
  std::optional<Arrival> scheduled_;
};

Cluster::Impl::Impl(coll::Runtime& runtime, const hw::Platform& platform,
                    const ClusterConfig& config, const StepModels& models,
                    std::vector<Policies> policies, const work::Trace& trace)
    : state{.runtime = runtime,
            .trace = trace,
            .config = config,
            .supernodes = supernodes_of(place(config.deployment, platform, config.role)),
            .listeners = {},
            .totals = {},
            .requests = RequestStore<Request>(trace.rows.size()),
            .last_queue = {}},
      decodes_(has_decode_instances(config.role)),
      policies_(std::move(policies)),
      mtp_random_(config.seed, "serve/mtp"),
      due_(trace) {
  require(policies_.size() == state.supernodes.size(), "every supernode has its policies");
  for (std::size_t i = 0; i < state.supernodes.size(); ++i) add_part(i, models);
  state.totals.requests = static_cast<std::int64_t>(trace.rows.size());
}

/// As its row of the trace has it.
Request& Cluster::Impl::open(RequestIndex index) {
  const auto row = static_cast<std::size_t>(index);
  const work::TraceRow& asked = state.trace.rows[row];
  Request& request = state.requests.open(row);
  RequestRecord& record = request.record;
  record.id = index;
  record.prompt_tokens = asked.prompt_tokens;
  record.output_tokens = asked.output_tokens;
  record.arrival = asked.arrival;
  record.request_class = asked.request_class;
  record.session = asked.session;
  record.turn = asked.turn;
  if (!state.trace.waits.empty() && state.trace.waits[row].after >= 0) {
    record.after = state.trace.waits[row].after;
    record.think = state.trace.waits[row].think;
    record.arrival = -1;
  }
  record.sent = -1;
  return request;
}

void Cluster::Impl::add_part(std::size_t number, const StepModels& models) {
  Part& part = *parts_.emplace_back(std::make_unique<Part>());
  Supernode& supernode = state.supernodes[number];
  if (!supernode.placement.prefill.empty()) {
    part.prefill.emplace(state, supernode, *models.prefill, policies_[number],
                         [this](RequestIndex index) { prefilled(index); });
  }
  if (!decodes_) return;
  DecodePool::Hooks hooks{
      .pulled = [&part](RequestIndex index) { part.prefill->release_kv(index); },
      .finished = [this](RequestIndex index) { end(index, Outcome::kFinished, Reason::kNone); },
      .preempted = [this](RequestIndex index) { preempted(index); },
      .outgrown =
          [this](RequestIndex index) { end(index, Outcome::kFailed, Reason::kOutputExceedsKv); }};
  part.decode.emplace(state, supernode, *models.decode, policies_[number], std::move(hooks));
  if (!state.config.deployment.role_switch) return;
  role_switching_.push_back(std::make_unique<RoleSwitching>(
      state, static_cast<std::int32_t>(number), *part.prefill, *part.decode, policies_[number],
      [this] { return scheduled_.has_value(); }));
}

/// To a supernode, by the policy of the first.
std::int32_t Cluster::Impl::route(RequestIndex index) {
  if (parts_.size() == 1) return 0;
  std::vector<SupernodeView> views;
  for (const auto& part : parts_) {
    SupernodeView& view = views.emplace_back();
    if (part->prefill) part->prefill->add_to(view);
    if (part->decode) part->decode->add_to(view);
  }
  const SupernodeRoutingView seen{state.now(), state.seen(index), views, this};
  const std::int32_t number = call_policy<SupernodeRouting>(policies_.front(), seen);
  if (number < 0 || number >= static_cast<std::int32_t>(parts_.size())) {
    refuse<SupernodeRouting>(policies_.front(), seen,
                             fmt::format("chose supernode {} of {}", number, parts_.size()));
  }
  return number;
}

Tokens Cluster::Impl::cached_tokens(const RequestView& request, std::int32_t supernode) const {
  if (supernode < 0 || supernode >= static_cast<std::int32_t>(parts_.size())) return 0;
  const Part& part = *parts_[static_cast<std::size_t>(supernode)];
  if (part.prefill) return part.prefill->cached_tokens(request);
  return part.decode ? part.decode->cached_tokens(request) : 0;
}

void Cluster::Impl::start() {
  for (const auto& roles : role_switching_) roles->start();
  wait_for_next_arrival();
}

/// Schedules send_due() for the next request that is due, unless one in flight must end first.
void Cluster::Impl::wait_for_next_arrival() {
  if (sending_ || (limited() && in_system_ >= state.config.concurrency)) return;
  const Seconds due = due_.next_date();
  if (!std::isfinite(due) || (scheduled_ && scheduled_->at <= due)) return;
  if (scheduled_) state.runtime.cancel(scheduled_->event);
  scheduled_ = {
      due, state.runtime.schedule_at(std::max(due, state.now()), coll::Priority::kArrival, [this] {
        scheduled_.reset();
        send_due();
        state.flush_queue();
      })};
}

void Cluster::Impl::send_due() {
  if (std::exchange(sending_, true)) return;  // a request rejected at once ends while we send
  while (due_.next_date() <= state.now() && (!limited() || in_system_ < state.config.concurrency)) {
    const DueRequests::Due next = due_.take();
    open(next.index).record.arrival = next.at;
    send(next.index);
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
  if (decodes_) plan_output(request);
  request.kv_in_place = state.config.role == Role::kDecodeOnly || record.initial_tokens > 0;
  state.listeners.emit(&Listener::on_request_sent, record);
  request.supernode = route(index);
  auto& [prefill, decode] = part_of(request);
  if ((prefill && !prefill->can_hold(record.prompt_tokens)) ||
      (decode && !decode->can_hold(record.prompt_tokens))) {
    end(index, Outcome::kRejected, Reason::kPromptExceedsKv);
  } else if (decode && !decode->can_hold(request.context)) {
    end(index, Outcome::kFailed, Reason::kOutputExceedsKv);
  } else if (prefill && !request.kv_in_place) {
    if (!prefill->enqueue(index)) end(index, Outcome::kRejected, Reason::kRejectedEarly);
  } else {
    decode->enqueue(index);
  }
}

/// What decode emits of its output: all, or all but what the end of its prompt gives.
void Cluster::Impl::plan_output(Request& request) {
  const RequestRecord& record = request.record;
  const bool is_under_way = static_cast<std::size_t>(record.id) < state.trace.progress.size();
  if (is_under_way) {
    draw_iterations_of(request, record.output_tokens);
    put_under_way(request);
  }
  if (record.initial_tokens > 0) return;
  request.samples_first = state.config.role == Role::kMixed;
  if (is_under_way && !request.samples_first) return;
  draw_iterations_of(request, record.output_tokens - (request.samples_first ? 1 : 0));
}

void Cluster::Impl::draw_iterations_of(Request& request, Tokens to_decode) {
  request.to_decode = to_decode;
  request.iterations =
      to_decode > 0 ? draw_iterations(to_decode, state.config.mtp, mtp_random_) : 0;
  request.growth = to_decode > 0 ? to_fixed(to_decode) / request.iterations : 0;
}

/// A request of the first population has a part of its output, in whole iterations; one that has
/// none comes like any other.
void Cluster::Impl::put_under_way(Request& request) {
  const auto row = static_cast<std::size_t>(request.record.id);
  request.iterations_before_join = static_cast<std::int64_t>(
      state.trace.progress[row] * static_cast<double>(request.iterations));
  const Tokens generated = whole_tokens(request.iterations_before_join * request.growth);
  request.record.initial_tokens = generated;
  request.context += generated;
}

void Cluster::Impl::prefilled(RequestIndex index) {
  auto& [prefill, decode] = part_of(state.request(index));
  if (decode) {
    decode->enqueue(index);
    return;
  }
  prefill->release_kv(index);
  RequestRecord& record = state.request(index).record;
  record.first_token = record.prefill_end;
  end(index, Outcome::kFinished, Reason::kNone);
}

void Cluster::Impl::preempted(RequestIndex index) {
  Request& request = state.request(index);
  request.kv_in_place = state.config.role == Role::kDecodeOnly;
  auto& [prefill, decode] = part_of(request);
  if (!prefill) {
    decode->enqueue(index);
  } else if (prefill->can_hold(request.context)) {
    prefill->enqueue(index);
  } else {
    end(index, Outcome::kFailed, Reason::kOutputExceedsKv);
  }
}

void Cluster::Impl::end(RequestIndex index, Outcome outcome, Reason reason) {
  require(state.requests.is_open(static_cast<std::size_t>(index)), "a request ends once");
  Request& request = state.request(index);
  RequestRecord& record = request.record;
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
  if (in_system_ == 0 && !due_.left()) {
    for (const auto& roles : role_switching_) roles->stop();
  }
  state.requests.close(static_cast<std::size_t>(index));
  if (outcome == Outcome::kUnfinished) return;
  due_.ended(index, state.now());
  limited() ? send_due() : wait_for_next_arrival();
}

void Cluster::Impl::finish(RunEnd run_end) {
  const ClusterTotals& totals = state.totals;
  const std::int64_t left = totals.requests - totals.finished - totals.rejected - totals.failed;
  if (run_end == RunEnd::kDrained && left > 0) complain_of_waiting();
  Tokens held = 0;
  for (const auto& part : parts_) {
    if (part->prefill) held += part->prefill->kv_reserved();
    if (part->decode) part->decode->check_balance();
  }
  require(totals.prefill_kv_reserved - totals.prefill_kv_released == held,
          "prefill KV reserved = released + held");
  for (std::size_t row = 0; row < state.requests.rows(); ++row) {
    const auto index = static_cast<RequestIndex>(row);
    if (state.requests.is_new(row)) {
      open(index);
      end(index, Outcome::kUnfinished, Reason::kNotSent);
    } else if (state.requests.is_open(row)) {
      end(index, Outcome::kUnfinished, Reason::kInterrupted);
    }
  }
  check_totals(run_end);
}

/// Nothing is under way and requests are left: policies said "wait" until there was nothing to wait
/// for.
void Cluster::Impl::complain_of_waiting() const {
  const auto in_stage = [this](Stage stage) {
    std::int64_t count = 0;
    for (std::size_t row = 0; row < state.requests.rows(); ++row) {
      count += state.requests.is_open(row) && state.requests[row].stage == stage ? 1 : 0;
    }
    return count;
  };
  const auto to_prefill = in_stage(Stage::kPrefillQueue), to_decode = in_stage(Stage::kDecodeQueue);
  require(to_prefill + to_decode > 0, "a request that is left over waits for a policy");
  std::string message = "requests never ended, a policy lets them wait for ever:";
  if (to_prefill > 0) {
    message += fmt::format(" {} waiting for {}", to_prefill,
                           title(policies_.front().get<PrefillBatching>()));
  }
  if (to_decode > 0) {
    message += fmt::format("{} {} waiting for {} or {}", to_prefill > 0 ? " and" : "", to_decode,
                           title(policies_.front().get<DecodeAdmission>()),
                           title(policies_.front().get<DecodeRouting>()));
  }
  const ClusterTotals& totals = state.totals;
  throw SimulationError(
      fmt::format("{} of {} {} at {:.9g} s",
                  totals.requests - totals.finished - totals.rejected - totals.failed,
                  totals.requests, message, state.now()));
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
  for (const auto& part : parts_) {
    if (part->decode) part->decode->check_empty();
  }
}

Cluster::Cluster(coll::Runtime& runtime, const hw::Platform& platform, const ClusterConfig& config,
                 const StepModels& models, std::vector<Policies> policies, const work::Trace& trace)
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
