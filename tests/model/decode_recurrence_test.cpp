// The decode recurrence is the fast path of the scheduler that places prefill batches: both place
// the operators of a layer on the same servers.
#include <gtest/gtest.h>

#include "src/model/decode_step.hpp"
#include "tests/model/places.hpp"
#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

struct RecurrenceCase {
  const char* name;
  int microbatches;
  bool holds_cores;
  int attention_dies = 0;
};

struct Listener : SliceRecorder {  // a typical layer is found for those alone
  void block(const Block&, bool, int, int, Seconds, Seconds) override {}
  void whole(const char*, Seconds, Seconds) override {}
};

/// Recurrence over schedule of all MoE layers, balanced, without the wait of barriers for chance.
double ratio(const RecurrenceCase& plan, int sequences, hw::Platform platform) {
  platform.token_exchange.holds_cores = plan.holds_cores;
  platform.token_exchange.jitter = 0;
  Architecture architecture = deepseek_r1();
  architecture.layers -= architecture.dense_layers;
  architecture.dense_layers = 0;
  ModelOptions options;
  options.decode.microbatches = plan.microbatches;
  options.decode.draft_tokens = 0;
  options.decode.attention_dies = plan.attention_dies;
  options.experts.placement = Placement::kBalanced;
  const DecodePipeline model = make_decode(platform, architecture, options, 320, 64);
  const auto ranks = static_cast<std::size_t>(model.ranks());
  const std::vector<std::int32_t> counts(ranks, sequences);
  const std::vector<std::int64_t> contexts(ranks, sequences * 4096L);
  const DecodeBatch batch{counts, contexts};
  DecodeStep step(model, model.plan(batch), {.balanced = true});
  Listener listener;
  step.run(batch, &listener);
  std::vector<Operator> chain;
  for (const DecodeStep::Typical& one : step.moe_operators()) chain.push_back(one.op);
  const Schedule all = schedule_chain(chain, plan.microbatches, architecture.layers,
                                      Device(platform).hbm_bandwidth(), Keep::kEnds);
  return step.moe_time() / all.makespan;
}

constexpr RecurrenceCase kPlans[] = {{"one stream", 1, true},        {"two streams", 2, true},
                                     {"four microbatches", 4, true}, {"exchanges beside", 2, false},
                                     {"four beside", 4, false},      {"apart", 1, true, 160},
                                     {"two apart", 2, true, 160},    {"three apart", 3, true, 160}};

// Where streams do not meet in HBM nothing is left to chance.
TEST(DecodeRecurrence, IsTheScheduleOfItsLayers) {
  hw::Platform platform = cloudmatrix();
  platform.die.hbm_bandwidth *= 1e6;
  for (const RecurrenceCase& plan : kPlans) {
    for (const int sequences : {12, 36, 60}) {
      EXPECT_NEAR(ratio(plan, sequences, platform), 1, 1e-9) << plan.name << ", " << sequences;
    }
  }
}

// Where they do, the recurrence has every layer meet like the first; the schedule follows who meets
// whom.
TEST(DecodeRecurrence, SharesHbmLikeTheSchedule) {
  for (const RecurrenceCase& plan : kPlans) {
    if (plan.attention_dies > 0) continue;  // attention and experts have an HBM each
    for (const int sequences : {12, 36, 60}) {
      EXPECT_NEAR(ratio(plan, sequences, cloudmatrix()), 1, 0.03) << plan.name << ", " << sequences;
    }
  }
}

}  // namespace
}  // namespace cmsim::model
