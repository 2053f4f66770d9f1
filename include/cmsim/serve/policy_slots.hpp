// The decisions of the serving system: of each slot the view it is taken on, the decision, a trait.
//
// A view holds what the real component knows: loads, its own predictions, the limits a request must
// meet; never a request's output length. Units: tokens, simulated seconds. Invariant: a view is
// valid only during the call. A new slot is a trait, its place in Slots, and the one call of
// call_policy() where it is asked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cmsim/base/units.hpp"
#include "cmsim/model/step.hpp"
#include "cmsim/serve/role.hpp"

namespace cmsim::serve {

/// Limits of latency; infinite where there is none.
struct LatencyLimits {
  Seconds ttft = 0, tpot = 0;
};

/// A request as a scheduler sees it.
struct RequestView {
  std::int64_t id = 0;  // row of the trace
  Tokens prompt_tokens = 0;
  Tokens context_tokens = 0;  // prompt, plus what was generated before a preemption
  Seconds sent = 0;
  Seconds waiting_since = 0;       // in the queue the view shows
  std::int32_t preemptions = 0;    // so far
  std::int32_t request_class = 0;  // position in /workload/classes
  std::int32_t priority = 0;       // of its class, higher goes first
  LatencyLimits limits = {};       // of its class
  std::uint64_t session = 0;       // equal for the turns of one; 0 = the trace names none
  std::uint64_t prefix = 0;        // equal for prompts whose first block is equal; 0 = not known
};

// ---------------------------------------------------------------- what the system says of itself

struct PrefillInstanceView {
  std::int64_t waiting_requests = 0;
  Tokens waiting_tokens = 0;  // prompt tokens in its queue
  Tokens batched_tokens = 0;  // to be computed: the next batch and the running one
  Tokens kv_free = 0;         // KV space of the instance not reserved
};

/// What the step model of prefill says about a batch that a policy considers, and what the cache
/// holds. Not free: a question costs about as much as simulating a batch.
class PrefillForecast {
 public:
  virtual ~PrefillForecast() = default;
  /// Time of one batch of `instance`.
  virtual Seconds batch(std::int32_t instance,
                        std::span<const model::PrefillSequence> sequences) const = 0;
  /// Time until what is running, batched and queued on `instance` is computed, whole.
  virtual Seconds backlog(std::int32_t instance) const = 0;
  /// Prompt tokens of the request that `instance` finds in its context cache now.
  virtual Tokens cached_tokens(const RequestView& request, std::int32_t instance) const = 0;
};

/// What the step model of decode says about a batch that a policy considers.
class DecodeForecast {
 public:
  virtual ~DecodeForecast() = default;
  /// Time of one iteration of `instance` whose ranks have these loads.
  virtual Seconds step(std::int32_t instance, std::span<const std::int32_t> sequences,
                       std::span<const Tokens> kv_tokens) const = 0;
  /// Output tokens that a sequence gets of an iteration, mean.
  virtual double tokens_per_step() const = 0;
};

/// Loads of the decode ranks (dies): spans with one element a rank, instance after instance.
struct DecodeRanksView {
  std::span<const std::int32_t> sequences;           // running, or being pulled
  std::span<const Tokens> kv_tokens;                 // KV space reserved
  std::span<const std::int32_t> slots;               // sequences it may have
  std::span<const std::int64_t> instance_sequences;  // one element an instance
  std::span<const std::int64_t> instance_slots;      // likewise; 0: it takes no more, being drained
  std::span<const std::int32_t> prefill_ranks;       // of a prefill instance, that it pulls KV from
  Tokens kv_capacity_per_rank = 0;
  std::int32_t ranks_per_instance = 0;
  std::int32_t npus_per_instance = 0;
  const DecodeForecast* forecast = nullptr;  // never null in a run
  std::int64_t round = 0;  // in one nothing changes but the ranks chosen, which get more

  std::size_t instance_of(std::size_t rank) const {
    return rank / static_cast<std::size_t>(ranks_per_instance);
  }
};

// ------------------------------------------------------------ supernode routing: which supernode?

/// One of the supernodes behind the router.
struct SupernodeView {
  std::int64_t waiting_requests = 0;  // for prefill, or for a place in decode
  Tokens waiting_tokens = 0;          // of their contexts
  std::int64_t sequences = 0;         // that have a place in decode
  std::int64_t slots = 0;
  Tokens kv_tokens = 0;  // of decode's KV space, reserved
  Tokens kv_capacity = 0;
};

/// What the context caches of the supernodes hold. A look-up walks the blocks of the prompt.
class SupernodeForecast {
 public:
  virtual ~SupernodeForecast() = default;
  /// Prompt tokens of the request that some instance of the supernode finds in its cache now.
  virtual Tokens cached_tokens(const RequestView& request, std::int32_t supernode) const = 0;
};

struct SupernodeRoutingView {
  Seconds now = 0;
  RequestView request = {};
  std::span<const SupernodeView> supernodes;    // at least one
  const SupernodeForecast* forecast = nullptr;  // never null in a run
};

/// Asked when a request is sent, before all others, which are asked on its supernode. Decides an
/// index into view.supernodes.
struct SupernodeRouting {
  static constexpr const char* kName = "supernode_routing";
  static constexpr const char* kDefault = "least_waiting";
  static constexpr const char* kQuestion = "which supernode serves a request";
  static constexpr bool is_asked(Role) { return true; }
  using View = SupernodeRoutingView;
  using Decision = std::int32_t;
  static std::string in_short(const View& view);
};

// ---------------------------------------------------------------- prefill routing: which instance?

struct PrefillRoutingView {
  Seconds now = 0;
  RequestView request = {};
  std::span<const PrefillInstanceView> instances;  // at least one
  const PrefillForecast* forecast = nullptr;       // never null in a run
};

/// Asked when a request is sent, and when it must be computed again after a preemption; not where
/// prompts are computed by the instances that decode. Decides an index into view.instances.
struct PrefillRouting {
  static constexpr const char* kName = "prefill_routing";
  static constexpr const char* kDefault = "least_tokens";
  static constexpr const char* kQuestion = "which prefill instance computes a request";
  static constexpr bool is_asked(Role role) { return has_prefill_instances(role); }
  using View = PrefillRoutingView;
  using Decision = std::int32_t;
  static std::string in_short(const View& view);
};

// ---------------------------------------------------- prefill admission: is it worth to begin?

struct PrefillAdmissionView {
  Seconds now = 0;
  RequestView request = {};
  std::int32_t instance = 0;  // of `instances`, where it would go
  std::span<const PrefillInstanceView> instances;
  const PrefillForecast* forecast = nullptr;  // never null in a run
};

enum class Verdict : std::int32_t { kAccept, kReject };

/// Asked once of a request, when it has been routed to a prefill instance. One that is rejected
/// ends at once.
struct PrefillAdmission {
  static constexpr const char* kName = "prefill_admission";
  static constexpr const char* kDefault = "all";
  static constexpr const char* kQuestion = "whether a request is taken in or rejected early";
  static constexpr bool is_asked(Role role) { return has_prefill_instances(role); }
  using View = PrefillAdmissionView;
  using Decision = Verdict;
  static std::string in_short(const View& view);
};

// -------------------------------------------------- prefill batching: who joins the next batch?

struct PrefillBatchingView {
  Seconds now = 0;
  std::int32_t instance = 0;  // among those of all supernodes
  // In order of arrival at the instance, or of a mixed one at the rank; not empty.
  std::span<const RequestView> waiting;
  Tokens budget = 0;           // of a batch: max_num_batched_tokens * npus
  Tokens budget_left = 0;      // not yet taken in the batch being formed; > 0
  std::int64_t sequences = 0;  // already in it
  Tokens kv_free = 0;          // KV space not reserved; those who wait at a rank have theirs
  double npus = 0;             // of the instance, or the rank
  // Of a mixed instance; -1: the batch is the instance's. What its sequences take of the budget is
  // taken (decode first).
  std::int32_t rank = -1;
};

/// Decides the index in view.waiting of the request to take next, or nullopt to leave the batch as
/// it is until something changes. A request that turns out not to fit stays in the queue and closes
/// the batch (the context cache is looked up when a request is taken, not before).
struct PrefillBatching {
  static constexpr const char* kName = "prefill_batching";
  static constexpr const char* kDefault = "fcfs";
  static constexpr const char* kQuestion = "which waiting request joins the next prefill batch";
  static constexpr bool is_asked(Role role) { return computes_prompts(role); }
  using View = PrefillBatchingView;
  using Decision = std::optional<std::size_t>;
  static std::string in_short(const View& view);
};

// ------------------------------- cache prefetch: what is brought to DRAM before it is asked for?

struct CachePrefetchView {
  Seconds now = 0;
  RequestView request = {};
  // Of its instance's queue, without the request.
  std::int64_t waiting_requests = 0;
  Tokens waiting_tokens = 0;
  // Of the longest prefix that the instance finds in its context cache now.
  Tokens dram_tokens = 0, ssd_tokens = 0;
};

/// Asked where the context cache has SSDs, when a request begins to wait for a prefill instance and
/// part of its prompt lies on SSD: decides how many of these tokens, the first ones, are brought to
/// DRAM at once. Whole blocks are, and 0 to view.ssd_tokens is allowed.
struct CachePrefetch {
  static constexpr const char* kName = "cache_prefetch";
  static constexpr const char* kDefault = "none";
  static constexpr const char* kQuestion =
      "what of a waiting prompt is brought from SSD to DRAM ahead";
  static constexpr bool is_asked(Role role) { return has_prefill_instances(role); }
  using View = CachePrefetchView;
  using Decision = Tokens;
  static std::string in_short(const View& view);
};

// --------------------------------------------------- cache placement: where does a block go?

enum class CacheTier : std::int32_t { kNowhere, kDram, kSsd };

enum class CacheOccasion : std::int32_t {
  kStored,   // it has been computed, and neither tier holds it
  kFound,    // on SSD, by a prompt that is about to read it
  kEvicted,  // DRAM needs its room
};

struct CacheTierView {
  std::int64_t blocks = 0;    // held now
  std::int64_t capacity = 0;  // 0: there is none
};

struct CachePlacementView {
  Seconds now = 0;
  CacheOccasion occasion = CacheOccasion::kStored;
  std::uint64_t block = 0;   // equal for equal content with an equal prefix
  std::int64_t uses = 0;     // of this block since a tier holds it, this one included
  Tokens tokens_before = 0;  // of its prompt, that precede it
  Tokens tokens = 0;         // that it holds
  CacheTierView dram = {}, ssd = {};
};

/// Asked when a block is about to be stored, and where there are SSDs when it is found on one
/// (kDram: it is kept in DRAM too once it has been read) and when DRAM gives it up (kDram is not
/// allowed). kNowhere drops it, or leaves it as it is; kSsd where there is none is kNowhere.
struct CachePlacement {
  static constexpr const char* kName = "cache_placement";
  static constexpr const char* kDefault = "dram_first";
  static constexpr const char* kQuestion = "which tier of the context cache takes a block";
  static constexpr bool is_asked(Role role) { return computes_prompts(role); }
  using View = CachePlacementView;
  using Decision = CacheTier;
  static std::string in_short(const View& view);
};

// ------------------------------------------------------- cache eviction: which block goes first?

struct CacheEvictionView {
  Seconds now = 0;
  std::uint64_t use = 0;     // counts up with every use of any block of the tier
  std::int64_t uses = 0;     // of this block, this one included
  Tokens tokens_before = 0;  // of its prompt, that precede it
  Tokens tokens = 0;         // that it holds
  double last_evicted = 0;   // what was decided for the block that the tier evicted last
  CacheTier tier = CacheTier::kDram;
};

/// Asked whenever a tier takes a block or it is found there: decides how much it is worth to keep
/// it, a finite number. When room is needed the block of the least worth goes; a use never lowers
/// its worth.
struct CacheEviction {
  static constexpr const char* kName = "cache_eviction";
  static constexpr const char* kDefault = "lru";
  static constexpr const char* kQuestion = "which block of the context cache goes first";
  static constexpr bool is_asked(Role role) { return computes_prompts(role); }
  using View = CacheEvictionView;
  using Decision = double;
  static std::string in_short(const View& view);
};

// -------------------------------------------------- decode admission: who gets a slot next?

struct DecodeAdmissionView {
  Seconds now = 0;
  std::span<const RequestView> waiting;  // prefilled, in order of prefill end; not empty
  std::int64_t free_slots = 0;           // over all ranks
  std::int64_t slots = 0;                // over all ranks
  Tokens kv_free = 0;                    // over all ranks
  DecodeRanksView ranks = {};
};

constexpr std::int64_t kAnyNumber = INT64_MAX;

struct Admission {
  std::size_t index = 0;  // in view.waiting
  // KV space a rank must have beside the context, >= 0; an empty rank needs none.
  Tokens headroom = 0;
  std::int64_t most_sequences = kAnyNumber;  // of its instance, with this one; >= 1
};

/// Decides whom to admit next, or nullopt to wait until something changes. When no rank takes the
/// request it keeps its place and is asked about again after the next change.
struct DecodeAdmission {
  static constexpr const char* kName = "decode_admission";
  static constexpr const char* kDefault = "kv_headroom";
  static constexpr const char* kQuestion = "which prefilled request gets a place in decode next";
  static constexpr bool is_asked(Role role) { return has_decode_instances(role); }
  using View = DecodeAdmissionView;
  using Decision = std::optional<Admission>;
  static std::string in_short(const View& view);
};

// ------------------------------------------------------------ decode routing: which rank?

struct DecodeRoutingView {
  Seconds now = 0;
  RequestView request = {};
  Tokens headroom = 0;
  std::int64_t most_sequences = kAnyNumber;  // of an instance, with this one
  DecodeRanksView ranks = {};

  /// Whether the rank has a slot and KV space for the request now.
  bool has_room(std::size_t rank) const {
    if (ranks.sequences[rank] >= ranks.slots[rank]) return false;
    const Tokens slack = ranks.sequences[rank] == 0 ? 0 : headroom;
    // Subtracted from the capacity: a headroom may be as large as its type.
    return slack <= ranks.kv_capacity_per_rank - ranks.kv_tokens[rank] - request.context_tokens - 1;
  }
  /// Whether the request may go to `rank` now.
  bool fits(std::size_t rank) const {
    return has_room(rank) && ranks.instance_sequences[ranks.instance_of(rank)] < most_sequences;
  }
};

/// Decides a rank for which view.fits() holds, or nullopt to wait.
struct DecodeRouting {
  static constexpr const char* kName = "decode_routing";
  static constexpr const char* kDefault = "least_sequences";
  static constexpr const char* kQuestion = "which decode rank takes an admitted request";
  static constexpr bool is_asked(Role role) { return has_decode_instances(role); }
  using View = DecodeRoutingView;
  using Decision = std::optional<std::size_t>;
  static std::string in_short(const View& view);
};

// ------------------------------------------------------------ preemption: who gives space up?

struct PreemptionView {
  Seconds now = 0;
  std::int32_t instance = 0, rank = 0;     // of the instance
  std::span<const RequestView> running{};  // on the rank, who joined last first; not empty
  Tokens excess = 0;                       // KV tokens that the rank holds beyond its space
};

/// Asked when what runs on a rank has outgrown its KV space, until it fits again: decides an index
/// into view.running. The KV of the request is dropped, and computed anew when it is its turn; its
/// context_tokens say how many tokens that are.
struct Preemption {
  static constexpr const char* kName = "preemption";
  static constexpr const char* kDefault = "newest";
  static constexpr const char* kQuestion = "who gives its KV space up when a rank has no more";
  static constexpr bool is_asked(Role role) { return has_decode_instances(role); }
  using View = PreemptionView;
  using Decision = std::size_t;
  static std::string in_short(const View& view);
};

// --------------------------------------------- preempted KV: computed anew, or kept in DRAM?

struct PreemptedKvView {
  Seconds now = 0;
  RequestView request = {};  // its context_tokens are those whose KV it has
  Bytes bytes = 0;           // of it
  Bytes free = 0;            // DRAM that takes it from its rank: as much at least
};

/// Asked when a request is preempted and the DRAM of its node has room for its KV: decides whether
/// it is copied there. The instance waits for the copy, and another rank may have the KV later.
struct PreemptedKv {
  static constexpr const char* kName = "preempted_kv";
  static constexpr const char* kDefault = "swap";
  static constexpr const char* kQuestion =
      "whether the KV of a preempted request goes to DRAM, or is computed anew";
  static constexpr bool is_asked(Role role) { return has_decode_instances(role); }
  using View = PreemptedKvView;
  using Decision = bool;
  static std::string in_short(const View& view);
};

// ------------------------------------- proportion: how many NPUs prefill, and how many decode?

/// A role on a supernode.
struct RoleView {
  std::int32_t blocks = 0;   // of NPUs that serve in it
  double utilisation = 0;    // of its instances since the last question
  std::int64_t waiting = 0;  // requests that wait for it
  double occupancy = 0;      // of decode, now: slots or KV space taken, whichever is more
};

struct ProportionView {
  Seconds now = 0;
  std::int32_t npus_of_block = 0;  // that change their role together
  RoleView prefill = {}, decode = {};
  std::int32_t decode_blocks = 0;  // as was decided last
  std::int32_t changing = 0;       // blocks that serve in neither: draining or loading
  Seconds backlog = 0;  // until all is computed that waits for prefill, mean over its instances
  Seconds tpot = 0;     // the longest decode step since the last question, for a token; 0 = none
  LatencyLimits limits = {};  // the tightest of all classes
};

struct Proportion {
  std::int32_t decode_blocks = 0;  // of all, at least 1 and one less than all at most
  Seconds again = 0;               // until the next question, > 0; infinite: never
};

/// Asked where roles can change, when a run begins and then as it says itself. Blocks change when
/// all their requests have left; the last that serves in a role waits for another to come.
struct ProportionChoice {
  static constexpr const char* kName = "proportion";
  static constexpr const char* kDefault = "fixed";
  static constexpr const char* kQuestion = "how many NPUs prefill and how many decode";
  static constexpr bool is_asked(Role role) { return role == Role::kAll; }
  using View = ProportionView;
  using Decision = Proportion;
  static std::string in_short(const View& view);
};

// ------------------------------- pipeline plan: how many microbatches, which division of cores?

/// What the step model of decode says about the batch that is about to run.
class PlanForecast {
 public:
  virtual ~PlanForecast() = default;
  virtual Seconds step(std::size_t plan) const = 0;  // with one of view.plans
};

struct PipelinePlanView {
  Seconds now = 0;
  std::int32_t instance = 0;
  // Of the batch, one element a rank.
  std::span<const std::int32_t> sequences{};
  std::span<const Tokens> kv_tokens{};
  std::span<const model::DecodePlan> plans{};  // first as it is deployed
  std::size_t current = 0;                     // of them
  std::int64_t steps = 0;                      // of the instance with it
  Seconds change = 0;                          // what another one costs
  const PlanForecast* forecast = nullptr;      // never null in a run
};

/// Asked before every step of a decode instance: decides one of view.plans. A batch that has no
/// sequence for every microbatch runs whole all the same.
struct PipelinePlan {
  static constexpr const char* kName = "pipeline_plan";
  static constexpr const char* kDefault = "deployed";
  static constexpr const char* kQuestion =
      "in how many microbatches and with which division of cores a decode step runs";
  static constexpr bool is_asked(Role role) { return has_decode_instances(role); }
  using View = PipelinePlanView;
  using Decision = std::size_t;
  static std::string in_short(const View& view);
};

// --------------------------------------------- expert placement: are the experts placed anew?

/// What the step model of decode says about the batch that is about to run.
class RebalancingForecast {
 public:
  virtual ~RebalancingForecast() = default;
  virtual Seconds step() const = 0;        // with the experts where they are
  virtual Seconds step_after() const = 0;  // right after placing them anew
};

/// Loads of ranks as observed over many steps, without the noise of one.
struct ExpertPlacementView {
  Seconds now = 0;
  std::int32_t instance = 0;
  Seconds age = 0;                // since the load was observed that the placement is for
  std::int64_t steps = 0;         // of the instance since then
  double balancedness = 1;        // mean over the greatest load of the ranks
  double balancedness_after = 1;  // right after placing anew
  Bytes bytes = 0;                // of experts that dies would fetch from each other
  Seconds move_time = 0;          // by which the next steps would be longer, all together
  const RebalancingForecast* forecast = nullptr;  // never null in a run
};

enum class Rebalancing : std::int32_t {
  kKeep,
  kMove,     // place anew, and pay
  kForFree,  // at once, for nothing: a bound, no real decision
};

/// Asked before every step of a decode instance whose experts do not move, where their popularity
/// drifts.
struct ExpertPlacement {
  static constexpr const char* kName = "expert_placement";
  static constexpr const char* kDefault = "static";
  static constexpr const char* kQuestion =
      "whether the experts of a decode instance are placed anew";
  static constexpr bool is_asked(Role role) { return has_decode_instances(role); }
  using View = ExpertPlacementView;
  using Decision = Rebalancing;
  static std::string in_short(const View& view);
};

// ------------------------------------------------------------------------------------ all of them

template <class... Slot>
struct SlotList {};
/// In the order in which a request meets them; the last three are not about requests.
using Slots =
    SlotList<SupernodeRouting, PrefillRouting, PrefillAdmission, CachePrefetch, PrefillBatching,
             CachePlacement, CacheEviction, DecodeAdmission, DecodeRouting, Preemption, PreemptedKv,
             ProportionChoice, PipelinePlan, ExpertPlacement>;

}  // namespace cmsim::serve
