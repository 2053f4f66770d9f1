#include "cmsim/serve/prefill_pool.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "cmsim/serve/policy_guard.hpp"
#include "cmsim/serve/wires.hpp"

namespace cmsim::serve {

PrefillPool::PrefillPool(ClusterState& state, Supernode& supernode,
                         const model::PrefillModel& model, const Policies& policies, Hook prefilled)
    : state_(state),
      supernode_(supernode),
      model_(model),
      policies_(policies),
      prefilled_(std::move(prefilled)),
      cache_(state, supernode, policies),
      budget_(state.config.deployment.prefill.token_budget()),
      kv_capacity_(model.kv_capacity()),
      instances_(supernode.placement.prefill.size()),
      views_(instances_.size()) {
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    instances_[i].budget_left = budget_;
    instances_[i].wires = model.wire_use(among_all(static_cast<std::int32_t>(i)));
  }
  for (PrefillInstanceView& v : views_) v.kv_free = kv_capacity_;
  takes_.resize(instances_.size());
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    takes_[i] = supernode.placement.prefill[i].serves;
  }
  show();
}

void PrefillPool::show() {
  showing_.clear();
  for (std::size_t i = 0; i < takes_.size(); ++i) {
    if (takes_[i]) showing_.push_back(static_cast<std::int32_t>(i));
  }
  if (showing_.size() == takes_.size()) showing_.clear();
}

void PrefillPool::drain(std::int32_t number, std::function<void()> emptied) {
  takes_[static_cast<std::size_t>(number)] = false;
  instance(number).emptied = std::move(emptied);
  show();
  check_empty(number);
}

void PrefillPool::serve(std::int32_t number) {
  takes_[static_cast<std::size_t>(number)] = true;
  show();
}

void PrefillPool::check_empty(std::int32_t number) {
  Instance& inst = instance(number);
  if (!inst.emptied || view(number).kv_free < kv_capacity_ || !inst.waiting.empty()) return;
  std::exchange(inst.emptied, nullptr)();
}

void PrefillPool::look(ProportionView& seen) {
  const std::size_t serving = showing_.empty() ? takes_.size() : showing_.size();
  Seconds backlogs = 0;
  for (std::size_t i = 0; i < serving; ++i) {
    const auto number = shown(static_cast<std::int32_t>(i));
    backlogs += backlog(static_cast<std::int32_t>(i));
    seen.prefill.waiting += views_[static_cast<std::size_t>(number)].waiting_requests;
  }
  seen.backlog = serving > 0 ? backlogs / static_cast<double>(serving) : 0;
  const auto draining = static_cast<std::size_t>(std::ranges::count_if(
      instances_, [](const Instance& instance) { return instance.emptied != nullptr; }));
  seen.prefill.utilisation = busy_.look(state_.now(), serving + draining);
}

std::int32_t PrefillPool::route(const RequestView& request) {
  if (!showing_.empty()) {
    shown_.clear();
    for (const std::int32_t number : showing_) shown_.push_back(view(number));
  }
  const PrefillRoutingView seen{state_.now(), request, taking(), this};
  const std::int32_t number = call_policy<PrefillRouting>(policies_, seen);
  if (number < 0 || number >= static_cast<std::int32_t>(taking().size())) {
    refuse<PrefillRouting>(
        policies_, seen,
        "chose instance " + std::to_string(number) + " of " + std::to_string(taking().size()));
  }
  return number;
}

bool PrefillPool::admits(const RequestView& request, std::int32_t number) {
  const PrefillAdmissionView seen{state_.now(), request, number, taking(), this};
  const Verdict verdict = call_policy<PrefillAdmission>(policies_, seen);
  if (verdict != Verdict::kAccept && verdict != Verdict::kReject) {
    refuse<PrefillAdmission>(policies_, seen,
                             "gave the verdict " + std::to_string(static_cast<int>(verdict)));
  }
  return verdict == Verdict::kAccept;
}

bool PrefillPool::enqueue(RequestIndex index) {
  Request& request = state_.request(index);
  const RequestView as_seen = state_.seen(index);
  const std::int32_t chosen = route(as_seen), number = shown(chosen);
  if (as_seen.preemptions == 0 && !admits(as_seen, chosen)) return false;
  request.stage = Stage::kPrefillQueue;
  request.record.prefill_instance = among_all(number);
  request.computed = 0;
  instance(number).waiting.push_back(as_seen);
  cache_.prefetch(as_seen, number, view(number));
  ++view(number).waiting_requests;
  view(number).waiting_tokens += request.context;
  ++state_.in_prefill;
  wake();
  return true;
}

Seconds PrefillPool::batch(std::int32_t instance,
                           std::span<const model::PrefillSequence> sequences) const {
  return model_.batch({sequences, among_all(shown(instance)), 0}).duration;
}

Seconds PrefillPool::backlog(std::int32_t number) const {
  const std::int32_t instance = shown(number);
  const Instance& inst = instances_[static_cast<std::size_t>(instance)];
  Seconds time = queued(number);
  if (inst.busy) time += std::max(0.0, inst.batch_start + inst.iteration.duration - state_.now());
  if (!inst.next.empty()) {
    std::vector<model::PrefillSequence> next;
    for (const Slice& slice : inst.next) next.push_back({slice.new_tokens, slice.cached_tokens});
    time += model_.batch({next, among_all(instance), inst.next_blocks}).duration;
  }
  return time;
}

Seconds PrefillPool::queued(std::int32_t number) const {
  const PrefillInstanceView& seen = views_[static_cast<std::size_t>(shown(number))];
  if (seen.waiting_requests == 0) return 0;
  const Tokens mean = std::max<Tokens>(1, seen.waiting_tokens / seen.waiting_requests);
  const std::int64_t in_batch = std::clamp<std::int64_t>(budget_ / mean, 1, seen.waiting_requests);
  const std::vector<model::PrefillSequence> full(static_cast<std::size_t>(in_batch), {mean, 0});
  return batch(number, full) * static_cast<double>(seen.waiting_requests) /
         static_cast<double>(in_batch);
}

Tokens PrefillPool::cached_tokens(const RequestView& request, std::int32_t instance) const {
  return cache_.look_up(static_cast<RequestIndex>(request.id), shown(instance)).tokens;
}

Tokens PrefillPool::cached_tokens(const RequestView& request) const {
  return cache_.most_cached(static_cast<RequestIndex>(request.id));
}

void PrefillPool::add_to(SupernodeView& view) const {
  for (const PrefillInstanceView& instance : views_) {
    view.waiting_requests += instance.waiting_requests;
    view.waiting_tokens += instance.waiting_tokens + instance.batched_tokens;
  }
}

void PrefillPool::release_kv(RequestIndex index) {
  const Request& request = state_.request(index);
  view(request.record.prefill_instance - supernode_.first_prefill).kv_free += request.context;
  state_.totals.prefill_kv_released += request.context;
  check_empty(request.record.prefill_instance - supernode_.first_prefill);
  wake();
}

Tokens PrefillPool::kv_reserved() const {
  Tokens sum = 0;
  for (const PrefillInstanceView& v : views_) sum += kv_capacity_ - v.kv_free;
  return sum;
}

void PrefillPool::wake() {
  if (std::exchange(awake_, true)) return;
  state_.runtime.schedule_at(state_.now(), coll::Priority::kDecision, [this] { decide(); });
}

/// After everything else of this date has happened: requests that arrive together are batched
/// together.
void PrefillPool::decide() {
  awake_ = false;
  for (std::int32_t number = 0; number < static_cast<std::int32_t>(instances_.size()); ++number) {
    fill(number);
    try_start(number);
  }
  state_.flush_queue();
}

/// Ends: each round takes a request out of the queue or is the last.
void PrefillPool::fill(std::int32_t number) {
  Instance& inst = instance(number);
  while (!inst.closed && inst.budget_left > 0 && !inst.waiting.empty()) {
    const PrefillBatchingView seen{
        state_.now(),
        among_all(number),
        inst.waiting.view(),
        budget_,
        inst.budget_left,
        static_cast<std::int64_t>(inst.next.size()),
        view(number).kv_free,
        static_cast<double>(state_.config.deployment.prefill.npus_per_instance)};
    const auto position = call_policy<PrefillBatching>(policies_, seen);
    if (!position) break;
    if (*position >= inst.waiting.size()) {
      refuse<PrefillBatching>(policies_, seen,
                              "picked position " + std::to_string(*position) + " of the queue");
    }
    if (!take(number, *position)) break;
  }
}

/// Takes a waiting request into the next batch; false when it does not fit.
bool PrefillPool::take(std::int32_t number, std::size_t position) {
  Instance& inst = instance(number);
  PrefillInstanceView& seen = view(number);
  const auto index = static_cast<RequestIndex>(inst.waiting[position].id);
  Request& request = state_.request(index);
  if (request.context > seen.kv_free) return false;  // until KV is pulled off the instance
  const CacheHit hit = cache_.look_up(index, number);
  const Tokens to_compute = request.context - hit.tokens;
  if (to_compute > inst.budget_left && inst.budget_left < budget_) {
    inst.closed = true;
    return false;
  }
  cache_.take(index, number, hit);
  inst.waiting.erase(position);
  --seen.waiting_requests;
  seen.waiting_tokens -= request.context;
  seen.batched_tokens += to_compute;
  seen.kv_free -= request.context;
  state_.totals.prefill_kv_reserved += request.context;
  request.stage = Stage::kPrefill;
  request.computed = hit.tokens;
  request.hit_blocks = hit.blocks;
  inst.next_blocks += hit.blocks;
  if (request.record.cache_read_start < 0 && request.record.decode_start < 0) {
    request.record.cached_tokens = hit.tokens;
    request.record.ssd_tokens = hit.ssd_tokens;
  }
  set_once(request.record, &RequestRecord::cache_read_start, state_.now());
  add_slice(number, index);
  if (hit.tokens > 0) {
    ++inst.pending_reads;
    cache_.read(index, number, hit, [this, index, number] {
      serve::RequestRecord& record = state_.request(index).record;
      if (record.prefill_start < 0) set_once(record, &RequestRecord::cache_read_end, state_.now());
      --instance(number).pending_reads;
      wake();
    });
  }
  return true;
}

void PrefillPool::add_slice(std::int32_t number, RequestIndex index) {
  Instance& inst = instance(number);
  const Request& request = state_.request(index);
  const Tokens left = request.context - request.computed;
  const Tokens tokens = std::min(left, inst.budget_left);
  inst.next.push_back({index, tokens, request.computed});
  inst.budget_left -= tokens;
  if (tokens < left) inst.unfinished = index;
}

void PrefillPool::try_start(std::int32_t number) {
  Instance& inst = instance(number);
  if (inst.busy || inst.next.empty()) return;
  if (inst.pending_reads > 0) {
    inst.closed = true;
    return;
  }
  std::swap(inst.running, inst.next);
  inst.running_blocks = std::exchange(inst.next_blocks, 0);
  for (const Slice& slice : inst.running) {
    Request& request = state_.request(slice.request);
    request.computed += slice.new_tokens;
    set_once(request.record, &RequestRecord::prefill_start, state_.now());
  }
  inst.busy = true;
  inst.batch_start = state_.now();
  inst.iteration = model_.batch(batch_of(number));
  require(inst.iteration.duration >= 0, "a prefill batch takes no negative time");
  state_.prefill_running += static_cast<std::int64_t>(inst.running.size());
  ++state_.totals.prefill_batches;
  coll::Iteration work = on_wires(
      inst.iteration.duration, inst.iteration.bytes_per_die,
      supernode_.placement.prefill[static_cast<std::size_t>(number)].dies.size(), inst.wires);
  work.stretched = [this, number](double stretch) {
    return model_.stretched(batch_of(number), stretch);
  };
  state_.runtime.iterate(std::move(work), [this, number] { finish_batch(number); });
  inst.next.clear();
  inst.budget_left = budget_;
  inst.closed = false;
  if (inst.unfinished != kNoRequest) {
    add_slice(number, std::exchange(inst.unfinished, kNoRequest));
  }
  fill(number);
}

/// Of what is running; valid until it is asked for again.
model::PrefillBatch PrefillPool::batch_of(std::int32_t number) {
  sequences_.clear();
  for (const Slice& slice : instance(number).running) {
    sequences_.push_back({slice.new_tokens, slice.cached_tokens});
  }
  return {sequences_, among_all(number), instance(number).running_blocks};
}

void PrefillPool::finish_batch(std::int32_t number) {
  Instance& inst = instance(number);
  PrefillBatchEvent event;
  event.start = inst.batch_start;
  event.end = state_.now();
  event.instance = among_all(number);
  event.sequences = static_cast<std::int32_t>(inst.running.size());
  event.late = event.end - (event.start + inst.iteration.duration);
  event.bytes_per_die = inst.iteration.bytes_per_die;
  busy_.add(event.start, event.end);
  event.cached_blocks = inst.running_blocks;
  for (const Slice& slice : inst.running) {
    event.new_tokens += slice.new_tokens;
    event.cached_tokens += slice.cached_tokens;
  }
  inst.busy = false;
  view(number).batched_tokens -= event.new_tokens;
  state_.prefill_running -= event.sequences;
  state_.listeners.emit(&Listener::on_prefill_batch, event);
  for (const Slice& slice : inst.running) {
    const RequestIndex index = slice.request;
    Request& request = state_.request(index);
    if (slice.cached_tokens + slice.new_tokens < request.context) continue;  // more chunks to come
    set_once(request.record, &RequestRecord::prefill_end, state_.now());
    --state_.in_prefill;
    cache_.write(index, number);
    prefilled_(index);
  }
  inst.running.clear();
  wake();
  state_.flush_queue();
}

}  // namespace cmsim::serve
