#include "cmsim/serve/decode_pool.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "cmsim/serve/mtp.hpp"
#include "cmsim/serve/policy_guard.hpp"
#include "cmsim/serve/wires.hpp"

namespace cmsim::serve {
namespace {

/// KV tokens of a request after so many iterations.
FixedTokens kv_after(const Request& request, std::int64_t iterations) {
  return to_fixed(request.record.prompt_tokens) + iterations * request.growth;
}

constexpr auto later = [](const auto& a, const auto& b) {  // makes a min-heap
  return a.step != b.step ? a.step > b.step : a.request > b.request;
};

}  // namespace

DecodePool::DecodePool(ClusterState& state, Supernode& supernode, const model::DecodeModel& model,
                       const Policies& policies, Hooks hooks)
    : state_(state),
      supernode_(supernode),
      model_(model),
      policies_(policies),
      hooks_(std::move(hooks)),
      ranks_per_instance_(static_cast<std::size_t>(state.config.deployment.decode.ranks())),
      balancer_(state, supernode, model, policies),
      planner_(state, supernode, model, policies),
      copies_(state, static_cast<int>(supernode.placement.decode.size() * ranks_per_instance_),
              state.config.deployment.copies_per_die),
      swap_(state, copies_, supernode.placement.cpus_per_node),
      kv_capacity_(model.kv_capacity_per_die()),
      instances_(supernode.placement.decode.size()) {
  const DecodeSpec& spec = state.config.deployment.decode;
  const std::size_t ranks = instances_.size() * ranks_per_instance_;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    instances_[i].first_rank = i * ranks_per_instance_;
    instances_[i].wires = model.wire_use(among_all(static_cast<std::int32_t>(i)));
  }
  slots_.assign(ranks, 0);
  instance_slots_.assign(instances_.size(), 0);
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    open(static_cast<std::int32_t>(i), supernode.placement.decode[i].serves);
  }
  if (spec.is_mixed()) {
    prompts_.emplace(state, supernode, policies, ranks_per_instance_, [this](RequestIndex index) {
      if (!instance_with(index).busy) wake();
    });
  }
  if (!supernode.placement.prefill.empty()) {
    const auto prefill_dies = static_cast<int>(supernode.placement.prefill.front().dies.size());
    const ConnectionMap map{prefill_dies, 1, spec.ranks()};
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      prefill_ranks_.push_back(
          map.prefill_tp_rank(static_cast<int>(rank % ranks_per_instance_), 0));
    }
  }
  instance_occupied_.assign(instances_.size(), 0);
  occupied_.assign(ranks, 0);
  sequences_.assign(ranks, 0);
  running_kv_.assign(ranks, 0);
  rank_growth_.assign(ranks, 0);
  pending_kv_.assign(ranks, 0);
  reserved_kv_.assign(ranks, 0);
  kv_tokens_.assign(ranks, 0);
  newest_.assign(ranks, kNoRequest);
  place_in_active_.assign(ranks, 0);
}

void DecodePool::open(std::int32_t number, bool takes) {
  const DecodeSpec& spec = state_.config.deployment.decode;
  const std::size_t first = instance(number).first_rank;
  for (std::size_t i = 0; i < ranks_per_instance_; ++i) {
    slots_[first + i] = takes ? spec.slots_on(static_cast<std::int64_t>(i), spec.ranks()) : 0;
  }
  std::int64_t& slots = instance_slots_[static_cast<std::size_t>(number)];
  const std::int64_t now = takes ? spec.slots_per_instance() : 0;
  open_slots_ += now - std::exchange(slots, now);
  can_admit_ = true;
}

void DecodePool::drain(std::int32_t number, Seconds until, std::function<void()> emptied) {
  open(number, false);
  Instance& inst = instance(number);
  inst.emptied = std::move(emptied);
  inst.drained_by = until;
  check_empty(number);
}

void DecodePool::serve(std::int32_t number) {
  open(number, true);
  balancer_.load(among_all(number));
  wake();
}

void DecodePool::check_empty(std::int32_t number) {
  Instance& inst = instance(number);
  if (!inst.emptied || !is_idle(inst) || instance_occupied_[static_cast<std::size_t>(number)] > 0)
    return;
  std::exchange(inst.emptied, nullptr)();
}

/// Who runs on an instance that should have been left by now.
void DecodePool::empty_late(Instance& inst) {
  if (!inst.emptied || state_.now() < inst.drained_by) return;
  for (std::size_t i = 0; i < ranks_per_instance_; ++i) {
    while (newest_[inst.first_rank + i] != kNoRequest) preempt(inst, newest_[inst.first_rank + i]);
  }
}

void DecodePool::look(ProportionView& seen) {
  seen.decode.waiting += static_cast<std::int64_t>(waiting_.size());
  seen.tpot = std::exchange(slowest_, 0) / tokens_per_step();
  const auto share = [](auto free, auto all) {
    return all > 0 ? 1 - static_cast<double>(free) / static_cast<double>(all) : 0.0;
  };
  seen.decode.occupancy = std::max(share(free_slots(), open_slots_), share(kv_free(), open_kv()));
  std::size_t serving = 0;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    serving += instance_slots_[i] > 0 || instance_occupied_[i] > 0 ? 1 : 0;
  }
  seen.decode.utilisation = busy_.look(state_.now(), serving);
}

void DecodePool::enqueue(RequestIndex index) {
  Request& request = state_.request(index);
  request.stage = Stage::kDecodeQueue;
  waiting_.push_back(state_.seen(index));
  waiting_tokens_ += request.context;
  const bool has_kv = request.kv_in_place || !prompts_ || swap_.holds(index);
  ++(has_kv ? state_.decode_waiting : state_.in_prefill);
  can_admit_ = true;
  wake();
}

void DecodePool::wake() {
  if (std::exchange(awake_, true)) return;
  state_.runtime.schedule_at(state_.now(), coll::Priority::kDecision, [this] { decide(); });
}

void DecodePool::decide() {
  admit();
  awake_ = false;
  for (std::int32_t number = 0; number < static_cast<std::int32_t>(instances_.size()); ++number) {
    if (is_idle(instance(number))) start_step(number);
  }
  state_.flush_queue();
}

Seconds DecodePool::step(std::int32_t instance, std::span<const std::int32_t> sequences,
                         std::span<const Tokens> kv_tokens) const {
  const std::int32_t number = among_all(instance);
  return model_
      .iteration({sequences, kv_tokens, number, {}, balancer_.age(number), planner_.plan(number)})
      .duration;
}

double DecodePool::tokens_per_step() const { return mean_tokens_per_iteration(state_.config.mtp); }

DecodeRanksView DecodePool::ranks() const {
  return {occupied_,
          reserved_kv_,
          slots_,
          instance_occupied_,
          instance_slots_,
          prefill_ranks_,
          kv_capacity_,
          static_cast<std::int32_t>(ranks_per_instance_),
          state_.config.deployment.decode.attending_npus(),
          this,
          round_};
}

Tokens DecodePool::open_kv() const {
  const auto open = std::ranges::count_if(instance_slots_, [](auto slots) { return slots > 0; });
  return open * static_cast<Tokens>(ranks_per_instance_) * kv_capacity_;
}

std::int64_t DecodePool::free_slots() const {
  std::int64_t free = 0;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    free += std::max<std::int64_t>(0, instance_slots_[i] - instance_occupied_[i]);
  }
  return free;
}

Tokens DecodePool::kv_free() const {
  const auto of_instance = static_cast<Tokens>(ranks_per_instance_) * kv_capacity_;
  Tokens free = static_cast<Tokens>(instances_.size()) * of_instance - kv_reserved_;
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    if (instance_slots_[i] > 0) continue;  // drained: nothing of it is free
    const auto held = std::span(reserved_kv_).subspan(i * ranks_per_instance_, ranks_per_instance_);
    free -= of_instance - std::accumulate(held.begin(), held.end(), Tokens{0});
  }
  return free;
}

std::optional<Admission> DecodePool::next_admission() {
  const DecodeAdmissionView queue{state_.now(), waiting_.view(), free_slots(),
                                  open_slots_,  kv_free(),       ranks()};
  const auto admission = call_policy<DecodeAdmission>(policies_, queue);
  if (!admission) {
    supernode_.decode_blocked = QueueEvent::Blocked::kByPolicy;
    return std::nullopt;
  }
  const auto refuse_if = [&](bool wrong, const char* what, auto number, const char* of) {
    if (wrong) refuse<DecodeAdmission>(policies_, queue, what + std::to_string(number) + of);
  };
  refuse_if(admission->index >= waiting_.size(), "chose position ", admission->index,
            " of the queue");
  refuse_if(admission->headroom < 0, "asked for a headroom of ", admission->headroom, " tokens");
  refuse_if(admission->most_sequences < 1, "allowed an instance ", admission->most_sequences,
            " sequences");
  return admission;
}

std::optional<std::size_t> DecodePool::rank_for(const Admission& admission) {
  const DecodeRoutingView seen{state_.now(), waiting_[admission.index], admission.headroom,
                               admission.most_sequences, ranks()};
  const auto rank = call_policy<DecodeRouting>(policies_, seen);
  if (!rank) {
    using Blocked = QueueEvent::Blocked;
    bool room = false;
    for (std::size_t i = 0; i < occupied_.size() && !room; ++i) room = seen.has_room(i);
    supernode_.decode_blocked = room ? Blocked::kByPolicy : Blocked::kByKv;
    return std::nullopt;
  }
  const auto refuse_if = [&](bool wrong, const char* why) {
    if (wrong) refuse<DecodeRouting>(policies_, seen, fmt::format("chose rank {}{}", *rank, why));
  };
  if (*rank >= occupied_.size()) {
    refuse<DecodeRouting>(policies_, seen,
                          fmt::format("chose rank {} of {}", *rank, occupied_.size()));
  }
  refuse_if(!seen.has_room(*rank), ", which has no room for the request,");
  refuse_if(!seen.fits(*rank), ", whose instance may take no more,");
  return rank;
}

/// Ends: each round takes a request out of the queue or is the last.
void DecodePool::admit() {
  ++round_;
  if (can_admit_ || waiting_.empty()) supernode_.decode_blocked = QueueEvent::Blocked::kByNothing;
  while (can_admit_ && !waiting_.empty()) {
    if (free_slots() <= 0) {
      supernode_.decode_blocked = QueueEvent::Blocked::kBySlots;
      break;
    }
    const auto admission = next_admission();
    if (!admission) break;
    const auto rank = rank_for(*admission);
    if (!rank) {
      can_admit_ = false;
      break;
    }
    const auto index = static_cast<RequestIndex>(waiting_[admission->index].id);
    waiting_.erase(admission->index);
    waiting_tokens_ -= state_.request(index).context;
    reserve(index, *rank);
    if (swap_.holds(index)) {
      swap_in(index);
    } else if (state_.request(index).kv_in_place) {
      make_ready(index);
    } else if (prompts_) {
      prompts_->begin(index);
    } else {
      pull(index);
    }
  }
}

void DecodePool::update_reserved(std::size_t rank) {
  const Tokens reserved = whole_tokens(running_kv_[rank]) + pending_kv_[rank];
  kv_reserved_ += reserved - reserved_kv_[rank];
  state_.decode_kv_reserved += reserved - reserved_kv_[rank];
  reserved_kv_[rank] = reserved;
}

void DecodePool::reserve(RequestIndex index, std::size_t rank) {
  Request& request = state_.request(index);
  request.rank = static_cast<std::int32_t>(rank);
  request.record.decode_instance = among_all(instance_of(rank));
  request.record.decode_rank = static_cast<std::int32_t>(rank % ranks_per_instance_);
  ++occupied_[rank];
  ++instance_occupied_[static_cast<std::size_t>(instance_of(rank))];
  ++occupied_total_;
  pending_kv_[rank] += request.context;
  reserved_ever_ += to_fixed(request.context);
  update_reserved(rank);
  require(reserved_kv_[rank] <= kv_capacity_ && occupied_[rank] <= slots_[rank],
          "a rank holds no more KV and requests than it has space for");
}

void DecodePool::pull(RequestIndex index) {
  Request& request = state_.request(index);
  request.stage = Stage::kPull;
  set_once(request.record, &RequestRecord::transfer_start, state_.now());
  const RequestRecord& record = request.record;
  const int prefill_rank = prefill_ranks_[static_cast<std::size_t>(request.rank)];
  const Placement& places = supernode_.placement;
  const hw::Endpoint from = hw::die(
      places.prefill[static_cast<std::size_t>(record.prefill_instance - supernode_.first_prefill)]
          .die(prefill_rank));
  const auto rank = static_cast<std::size_t>(request.rank);
  copies_.start(rank,
                {die_of(rank), from, request.context * state_.config.kv_bytes_per_token,
                 state_.config.deployment.kv.plane, coll::Op::kRead},
                TransferKind::kKvPull, [this, index] {
                  set_once(state_.request(index).record, &RequestRecord::transfer_end,
                           state_.now());
                  hooks_.pulled(index);
                  make_ready(index);
                });
}

hw::Endpoint DecodePool::die_of(std::size_t rank) const {
  const auto number = static_cast<std::size_t>(instance_of(rank));
  return hw::die(supernode_.placement.decode[number].die(
      static_cast<std::int32_t>(rank % ranks_per_instance_)));
}

std::int32_t DecodePool::swap_cpu(std::size_t rank) const {
  const auto& cpus = supernode_.placement.decode[static_cast<std::size_t>(instance_of(rank))].cpus;
  return cpus.empty() ? -1 : cpus[rank % ranks_per_instance_];
}

void DecodePool::swap_in(RequestIndex index) {
  Request& request = state_.request(index);
  request.stage = Stage::kPull;
  const auto rank = static_cast<std::size_t>(request.rank);
  swap_.in(index, rank, die_of(rank).index, [this, index] { make_ready(index); });
}

bool DecodePool::keeps_kv(RequestIndex index, std::size_t rank) {
  const PreemptedKvView view{state_.now(), state_.seen(index), swap_.bytes_of(index),
                             swap_.free(swap_cpu(rank))};
  return view.bytes <= view.free && call_policy<PreemptedKv>(policies_, view);
}

void DecodePool::swap_out(Instance& inst, RequestIndex index, std::size_t rank) {
  Request& request = state_.request(index);
  request.stage = Stage::kSwapOut;
  ++request.record.swaps;
  ++inst.swapping_out;
  inst.held = true;
  swap_.out(index, rank, die_of(rank).index, swap_cpu(rank), [this, &inst, index] {
    --inst.swapping_out;
    check_empty(static_cast<std::int32_t>(&inst - instances_.data()));
    enqueue(index);
  });
}

void DecodePool::make_ready(RequestIndex index) {
  Request& request = state_.request(index);
  request.stage = Stage::kReady;
  Instance& inst = instance_with(index);
  inst.ready.push_back(index);
  if (!inst.busy) wake();
}

void DecodePool::join(Instance& inst, RequestIndex index) {
  Request& request = state_.request(index);
  const auto rank = static_cast<std::size_t>(request.rank);
  const FixedTokens kv = kv_after(request, request.iterations_before_join);
  request.stage = Stage::kDecode;
  request.joined_step = inst.step;
  request.older = newest_[rank];
  request.newer = kNoRequest;
  if (request.older != kNoRequest) state_.request(request.older).newer = index;
  newest_[rank] = index;
  if (++sequences_[rank] == 1) {
    place_in_active_[rank] = inst.active.size();
    inst.active.push_back(rank);
  }
  rank_growth_[rank] += request.growth;
  running_kv_[rank] += kv;
  pending_kv_[rank] -= request.context;
  reserved_ever_ += kv - to_fixed(request.context);  // the fraction of a token generated before
  update_reserved(rank);
  inst.growth += request.growth;
  inst.emitted += fraction_of(kv);  // of a token begun before, see preempt()
  ++inst.running;
  --state_.decode_waiting;
  ++state_.decode_running;
  if (request.record.decode_start < 0) {
    request.record.decode_start = state_.now();
    inst.fresh.push_back(index);
  }
  inst.finishes.push_back({inst.step + request.iterations - request.iterations_before_join - 1,
                           index, request.record.preemptions});
  std::push_heap(inst.finishes.begin(), inst.finishes.end(), later);
}

void DecodePool::start_step(std::int32_t number) {
  Instance& inst = instance(number);
  DecodeStepEvent& event = inst.event;
  const Seconds begin = std::exchange(inst.held, false) ? inst.last_end : state_.now();
  event.continuing = inst.last_end == begin ? inst.running + inst.sampled : 0;
  inst.sampled = 0;
  for (const RequestIndex index : inst.ready) join(inst, index);
  inst.ready.clear();
  event = {.continuing = event.continuing};
  const std::size_t first = inst.first_rank;
  if (prompts_) {
    prompts_->start(number, std::span(sequences_).subspan(first, ranks_per_instance_), event);
  }
  if (inst.running == 0 && event.prompts == 0) return;
  Tokens total = 0;
  for (const std::size_t rank : inst.active) {
    kv_tokens_[rank] = whole_tokens(running_kv_[rank]);
    total += kv_tokens_[rank];
  }
  event.moving = balancer_.begin_step(batch_of(number));
  event.placement_age = balancer_.age(among_all(number));
  event.balancedness = balancer_.balancedness(among_all(number));
  model::DecodeBatch batch = batch_of(number);
  const Seconds waits = planner_.begin_step(batch) + event.moving;
  model::DecodeIteration iteration = model_.iteration(batch);
  require(iteration.duration > 0, "a decode iteration takes time");
  iteration.duration += waits;
  event.start = begin;
  event.instance = among_all(number);
  event.sequences = inst.running;
  event.kv_tokens = total;
  event.bytes_per_die = iteration.bytes_per_die;
  inst.busy = true;
  ++state_.totals.decode_steps;
  inst.due = state_.now() + iteration.duration;
  coll::Iteration work = on_wires(
      iteration.duration, iteration.bytes_per_die,
      supernode_.placement.decode[static_cast<std::size_t>(number)].dies.size(), inst.wires);
  work.stretched = [this, number, waits](double stretch) {
    return waits + model_.stretched(batch_of(number), stretch);
  };
  state_.runtime.iterate(std::move(work), [this, number] { finish_step(number); });
}

/// Of the step that starts or runs.
model::DecodeBatch DecodePool::batch_of(std::int32_t number) const {
  const std::size_t first = instances_[static_cast<std::size_t>(number)].first_rank;
  const auto of_instance = [&](const auto& all) {
    return std::span(all).subspan(first, ranks_per_instance_);
  };
  model::DecodeBatch batch{of_instance(sequences_), of_instance(kv_tokens_), among_all(number)};
  batch.placement_age = balancer_.age(batch.instance);
  batch.plan = planner_.plan(batch.instance);
  if (prompts_) batch.prompts = prompts_->loads(number);
  return batch;
}

/// One step of KV growth on every rank that runs requests; true when one now exceeds its space.
bool DecodePool::grow(const Instance& inst) {
  Tokens total = 0, before = 0, most = 0;
  for (const std::size_t rank : inst.active) {
    running_kv_[rank] += rank_growth_[rank];
    const Tokens reserved = whole_tokens(running_kv_[rank]) + pending_kv_[rank];
    before += reserved_kv_[rank];
    total += reserved;
    reserved_kv_[rank] = reserved;
    most = std::max(most, reserved);
  }
  kv_reserved_ += total - before;
  state_.decode_kv_reserved += total - before;
  return most > kv_capacity_;
}

void DecodePool::finish_step(std::int32_t number) {
  Instance& inst = instance(number);
  const Seconds now = state_.now();
  const bool was_awake = std::exchange(awake_, true);  // admission happens below, without an event
  const bool exceeded = grow(inst);
  reserved_ever_ += inst.growth;
  inst.emitted += inst.growth;
  for (const RequestIndex index : inst.fresh) state_.request(index).record.first_token = now;
  inst.fresh.clear();

  inst.done.clear();
  while (!inst.finishes.empty() && inst.finishes.front().step <= inst.step) {
    const Finish finish = inst.finishes.front();
    std::pop_heap(inst.finishes.begin(), inst.finishes.end(), later);
    inst.finishes.pop_back();
    if (!state_.requests.is_open(static_cast<std::size_t>(finish.request))) continue;
    Request& request = state_.request(finish.request);
    if (request.stage != Stage::kDecode || request.record.preemptions != finish.epoch) continue;
    leave(inst, finish.request, request.iterations);
    request.record.iterations += inst.step - request.joined_step + 1;
    inst.emitted += to_fixed(request.to_decode) - request.iterations * request.growth;
    inst.done.push_back(finish.request);
  }
  if (exceeded) relieve(inst);
  empty_late(inst);
  if (prompts_) prompts_->finish(number, [&](RequestIndex index) { computed(inst, index); });

  DecodeStepEvent event = inst.event;
  event.end = now;
  event.late = now - inst.due;
  event.tokens = whole_tokens(inst.emitted) - inst.emitted_reported;
  inst.emitted_reported += event.tokens;
  ++inst.step;
  inst.last_end = now;
  inst.busy = false;
  state_.listeners.emit(&Listener::on_decode_step, event);
  balancer_.end_step(among_all(number));
  for (const RequestIndex index : inst.done) hooks_.finished(index);
  busy_.add(event.start, now);
  slowest_ = std::max(slowest_, now - event.start);
  check_empty(number);

  admit();
  if (is_idle(inst)) start_step(number);
  awake_ = was_awake;
  // Admission may have given an idle one something to do.
  for (std::int32_t other = 0; other < static_cast<std::int32_t>(instances_.size()); ++other) {
    const Instance& its = instance(other);
    if (is_idle(its) && (!its.ready.empty() || (prompts_ && prompts_->has_work(other)))) wake();
  }
  state_.flush_queue();
}

/// Takes a running request off its rank; `iterations_done` is over all its stays.
void DecodePool::leave(Instance& inst, RequestIndex index, std::int64_t iterations_done) {
  Request& request = state_.request(index);
  const auto rank = static_cast<std::size_t>(request.rank);
  const FixedTokens kv = kv_after(request, iterations_done);
  if (request.newer != kNoRequest) {
    state_.request(request.newer).older = request.older;
  } else {
    newest_[rank] = request.older;
  }
  if (request.older != kNoRequest) state_.request(request.older).newer = request.newer;
  if (--sequences_[rank] == 0) {
    const std::size_t moved = inst.active[place_in_active_[rank]] = inst.active.back();
    place_in_active_[moved] = place_in_active_[rank];
    inst.active.pop_back();
    kv_tokens_[rank] = 0;
  }
  --inst.running;
  --state_.decode_running;
  inst.growth -= request.growth;
  rank_growth_[rank] -= request.growth;
  running_kv_[rank] -= kv;
  released_ever_ += kv;
  free_place(rank);
}

/// Its prompt, or what was dropped of it in a preemption, has its KV.
void DecodePool::computed(Instance& inst, RequestIndex index) {
  Request& request = state_.request(index);
  --state_.in_prefill;
  if (std::exchange(request.samples_first, false)) {
    request.record.first_token = request.record.decode_start = state_.now();
    inst.emitted += to_fixed(1);
    inst.sampled += request.iterations > 0 ? 1 : 0;
  }
  if (request.iterations > 0) {
    ++state_.decode_waiting;
    make_ready(index);
    return;
  }
  const auto rank = static_cast<std::size_t>(request.rank);
  pending_kv_[rank] -= request.context;
  released_ever_ += to_fixed(request.context);
  free_place(rank);
  inst.done.push_back(index);
}

void DecodePool::free_place(std::size_t rank) {
  --occupied_[rank];
  --instance_occupied_[static_cast<std::size_t>(instance_of(rank))];
  --occupied_total_;
  update_reserved(rank);
  can_admit_ = true;
}

void DecodePool::relieve(Instance& inst) {
  const std::size_t last = inst.first_rank + ranks_per_instance_;
  for (std::size_t rank = inst.first_rank; rank < last; ++rank) {
    while (reserved_kv_[rank] > kv_capacity_) preempt(inst, choose_victim(inst, rank));
  }
}

RequestIndex DecodePool::choose_victim(const Instance& inst, std::size_t rank) {
  std::vector<RequestView> running;
  for (RequestIndex index = newest_[rank]; index != kNoRequest;
       index = state_.request(index).older) {
    const Request& request = state_.request(index);
    RequestView& seen = running.emplace_back(state_.seen(index));
    seen.context_tokens = whole_tokens(
        kv_after(request, request.iterations_before_join + inst.step - request.joined_step + 1));
  }
  require(!running.empty(), "pulls reserve no more than the KV space of a rank");
  const PreemptionView view{state_.now(), among_all(instance_of(rank)),
                            static_cast<std::int32_t>(rank % ranks_per_instance_), running,
                            reserved_kv_[rank] - kv_capacity_};
  const std::size_t chosen = call_policy<Preemption>(policies_, view);
  if (chosen >= running.size()) {
    refuse<Preemption>(
        policies_, view,
        "chose " + std::to_string(chosen) + " of " + std::to_string(running.size()) + " that run");
  }
  return static_cast<RequestIndex>(running[chosen].id);
}

void DecodePool::preempt(Instance& inst, RequestIndex index) {
  Request& request = state_.request(index);
  const std::int64_t stay = inst.step - request.joined_step + 1;
  request.iterations_before_join += stay;
  request.record.iterations += stay;
  leave(inst, index, request.iterations_before_join);
  const FixedTokens kv = kv_after(request, request.iterations_before_join);
  inst.emitted -= fraction_of(kv);  // counted where the request goes on, maybe another instance
  request.context = whole_tokens(kv);
  const auto rank = static_cast<std::size_t>(std::exchange(request.rank, -1));
  if (!can_hold(request.context)) {
    hooks_.outgrown(index);
    return;
  }
  ++request.record.preemptions;
  ++state_.totals.preemptions;
  if (keeps_kv(index, rank)) {
    swap_out(inst, index, rank);
  } else {
    hooks_.preempted(index);
  }
}

void DecodePool::add_to(SupernodeView& view) const {
  view.waiting_requests += static_cast<std::int64_t>(waiting_.size());
  view.waiting_tokens += waiting_tokens_;
  if (prompts_) view.waiting_tokens += prompts_->tokens_to_compute();
  view.sequences += occupied_total_;
  view.slots += open_slots_;
  view.kv_tokens += kv_reserved_;
  view.kv_capacity += open_kv();
}

Tokens DecodePool::cached_tokens(const RequestView& request) const {
  return prompts_ ? prompts_->cached_tokens(request) : 0;
}

void DecodePool::check_balance() const {
  FixedTokens held = 0;
  for (std::size_t rank = 0; rank < occupied_.size(); ++rank) {
    held += running_kv_[rank] + to_fixed(pending_kv_[rank]);
  }
  require(reserved_ever_ - released_ever_ == held, "decode KV reserved = released + held");
  state_.totals.decode_kv_reserved += whole_tokens(reserved_ever_);
  state_.totals.decode_kv_released += whole_tokens(released_ever_);
}

void DecodePool::check_empty() const {
  const auto all_zero = [](const auto& values) {
    return std::all_of(values.begin(), values.end(), [](auto v) { return v == 0; });
  };
  require(reserved_ever_ == released_ever_, "decode KV reserved = released");
  swap_.check_empty();
  require(all_zero(occupied_) && all_zero(sequences_), "every decode slot is free at the end");
  require(all_zero(running_kv_) && all_zero(pending_kv_) && all_zero(rank_growth_),
          "every decode die's KV space is free at the end");
}

}  // namespace cmsim::serve
