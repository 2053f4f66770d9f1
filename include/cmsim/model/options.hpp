// Switches of the iteration model (scenario pointers /decode, /prefill, /experts, /precision).
// Every mechanism can be switched off; defaults are the published system (P §4).
#pragma once

#include <cstdint>
#include <string>

#include "cmsim/base/config.hpp"
#include "cmsim/base/units.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/model/expert_drift.hpp"
#include "cmsim/model/expert_popularity.hpp"

namespace cmsim::model {

/// Dies that share the attention of the same sequences in decode: the heads, or (`splits_kv`,
/// decode context parallelism) projections by heads and attention by tokens of the KV cache.
struct AttentionGroup {
  int dies = 1;
  bool splits_kv = false;
};

enum class Precision { kInt8, kBf16 };
enum class Placement { kEplb, kContiguous, kBalanced };
enum class RedundantOn { kRouted, kShared, kAny };  // ranks; kShared: those of the shared expert
enum class ExchangeKind { kFused, kBasic, kTwoLevel };  // token dispatch/combine implementation
enum class Launch { kInNpu, kCpu };                     // who launches the graphs of an iteration

struct DecodeOptions {
  int draft_tokens = 1;     // /decode/mtp/draft_tokens; 0 = MTP off
  double acceptance = 0.7;  // /decode/mtp/acceptance
  // How iterations are run is decided once, for the batch and context that a deployment is meant
  // for, as an operator configures it (see model/decode_plan.hpp).
  int microbatches = 0;     // 1 = one stream with all cores, 2.. = two streams, 0 = two where every
                            // rank is meant for enough sequences (one on a die that cannot run two)
  bool auto_split = false;  // of the divisions that two streams allow
  int attention_aic = 0, attention_aiv = 0;  // cores of stream 0 (attention), the rest is stream 1;
                                             // 0 = in proportion to the work of both
  double planned_sequences = 0;              // of a rank; 0 = the most it may have
  double planned_context = 0;                // tokens of a sequence; 0 = 4,096
  // Where prompts are computed beside sequences (from /deployment/mixed): the tokens of both that a
  // rank has in an iteration at most, and those of prompts that is planned for; 0 = no prompts.
  double most_tokens = 0, planned_prompt_tokens = 0;
  // Of an instance: its first dies attend, the others have the experts (attention-FFN
  // disaggregation); 0 = all do both. From /deployment/decode.
  int attention_dies = 0;
  AttentionGroup attention_group;  // likewise: dies that share sequences
  bool is_disaggregated() const { return attention_dies > 0; }
  // What a step waits for that is run otherwise than the one before it, where a policy changes the
  // plan: assumption, of the order of a launch of all graphs of an iteration.
  Seconds plan_change = 1e-3;
  Launch launch = Launch::kInNpu;  // kCpu: launch_time per graph
  Seconds launch_time = 0.7e-3;    // one graph launch from the CPU (P: 0.6-0.8 ms)
  ExchangeKind exchange = ExchangeKind::kFused;
  double staleness = 0;  // of the expert placement, see ExpertOptions
};

/// kAuto: in two levels where the scale-up plane does not join the dies of an instance.
enum class PrefillExchange { kAuto, kFlat, kTwoLevel };

struct PrefillOptions {
  int attention_tp = 0;  // dies that share the heads of a sequence, from /deployment/prefill; 0 =
                         // as many as the scale-up plane joins, up to one a head
  int microbatches = 0;  // 1 = nothing overlaps, 0 = the faster of 1 and 2
  bool sequence_packing = true;  // false: every sequence is padded to the longest of its batch
  PrefillExchange exchange = PrefillExchange::kAuto;
  double staleness = 1;  // of the expert placement: as between two workloads of the LMSYS counts
};

struct PrecisionOptions {  // of each operator class
  Precision attention_projections = Precision::kInt8;
  Precision experts = Precision::kInt8;
  Precision dispatch = Precision::kInt8;   // quantise before sending
  Precision attention = Precision::kBf16;  // scores and weighted values
  Precision kv_cache = Precision::kBf16;
};

struct ExpertOptions {
  Placement placement = Placement::kEplb;
  int shared_copies = -1;                           // -1 = derived from the EP degree as published
  int redundant = -1;                               // redundant routed experts; -1 = derived
  RedundantOn redundant_on = RedundantOn::kRouted;  // where ranks are dedicated to the shared one
  double skew = 1.0;  // scale of the popularity's spread; 1 = the measured statistics, 0 = uniform
  double balancedness = 0;  // mean over maximum of the ranks' loads, the same in all layers, in
                            // place of popularity and placement; 0 = follows from these
  double staleness = 0.0;   // 0 = placed on the load it serves, 1 = placed on another workload;
                            // set from the phase's own option
  std::uint64_t seed = 1;
  DriftOptions drift = {};  // of decode
  int layers_per_step = 1;  // that move while a decode step waits; vllm-ascend moves one
  bool operator==(const ExpertOptions&) const = default;
};

struct ModelOptions {
  DecodeOptions decode;
  PrefillOptions prefill;
  PrecisionOptions precision;
  ExpertOptions experts;
  PopularityParameters popularity = fitted_popularity();  // /experts/popularity
};

/// Each of two streams needs at least one core of either kind.
bool can_run_two_streams(const hw::DieSpec& die);
/// Two microbatches in decode: divided between them, or beside exchanges that hold no cores.
bool can_run_microbatches(const hw::Platform& platform);

/// Reads /decode, /prefill, /experts and /precision below the scenario root `root`. Core counts are
/// checked against `platform`. Throws ConfigError.
ModelOptions read_model_options(const ConfigNode& root, const hw::Platform& platform);

}  // namespace cmsim::model
