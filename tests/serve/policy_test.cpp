// The registry, and the decisions of the policies that come with the simulator.

#include "cmsim/serve/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "cmsim/base/error.hpp"
#include "cmsim/base/random.hpp"

namespace cmsim::serve {
namespace {

using ::testing::HasSubstr;

TEST(PolicyRegistry, ListsOneLineOfEach) {
  const PolicyRegistry registry = builtin_policies();
  for (const SlotInfo& slot : slots()) {
    EXPECT_NO_THROW(registry.info(slot.name, slot.otherwise));
    for (const PolicyInfo& info : registry.of(slot.name)) {
      EXPECT_FALSE(info.description.empty()) << info.name;
      EXPECT_EQ(info.description.find('\n'), std::string::npos) << info.name;
      for (const ParameterInfo& parameter : info.parameters) EXPECT_FALSE(parameter.help.empty());
    }
  }
}

TEST(PolicyRegistry, UnknownNameSaysWhatIsKnown) {
  try {
    builtin_policies().info("decode_routing", "least_sequencs");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/policies/decode_routing"));
    EXPECT_THAT(error.what(), HasSubstr("\"round_robin\""));
    EXPECT_THAT(error.what(), HasSubstr("did you mean \"least_sequences\"?"));
  }
  EXPECT_NO_THROW(builtin_policies().info("prefill_batching", "fcfs"));
  // Scenarios may still use what a policy was called before.
  EXPECT_EQ(builtin_policies().info("decode_routing", "least_loaded").name, "least_sequences");
  EXPECT_EQ(builtin_policies().info("prefill_routing", "least_loaded").name, "least_tokens");
  EXPECT_EQ(builtin_policies().info("decode_admission", "fcfs").name, "kv_headroom");
  EXPECT_THROW(builtin_policies().make<PrefillBatching>({"least_tokens"}), ConfigError);
}

class LastRank : public Policy<DecodeRouting> {
 public:
  explicit LastRank(const PolicyContext& context)
      : seed(context.seed), back(context.parameter_if("back").value_or(1)) {}
  std::optional<std::size_t> decide(const View& view) override {
    return view.ranks.sequences.size() - static_cast<std::size_t>(back);
  }
  std::uint64_t seed;
  double back;
};

TEST(PolicyRegistry, TakesPoliciesFromOutside) {
  PolicyRegistry registry = builtin_policies();
  registry.add<LastRank>({"last", "the last die"});
  const auto router = registry.make<DecodeRouting>({"last"}, {.seed = 5});
  EXPECT_EQ(dynamic_cast<LastRank&>(*router).seed, 5u);
  EXPECT_THROW(registry.add<LastRank>({"last", "again"}), std::invalid_argument);
}

TEST(PolicyRegistry, ParametersHaveDefaultsAndRanges) {
  PolicyRegistry registry;
  registry.add<LastRank>(
      {"last", "", {{.name = "back", .otherwise = 2, .minimum = 1, .maximum = 4, .help = "h"}}});
  const auto back = [&](const Parameters& given) {
    return dynamic_cast<LastRank&>(*registry.make<DecodeRouting>({"last", given})).back;
  };
  EXPECT_EQ(back({}), 2);
  EXPECT_EQ(back({{"back", 4}}), 4);
  const auto complaint = [&](const Parameters& given) -> std::string {
    try {
      back(given);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(complaint({{"back", 5}}),
            "/policies/decode_routing/back: 5 is out of range, allowed are 1 to 4");
  EXPECT_EQ(complaint({{"bak", 1}}),
            "/policies/decode_routing/bak: unknown parameter of \"last\"; known are \"back\"; did "
            "you mean \"back\"?");
  const ParameterInfo outside{.name = "back", .otherwise = 9, .maximum = 4};
  EXPECT_THROW(registry.add<LastRank>({"other", "", {outside}}), std::invalid_argument);
  const ParameterInfo within{.name = "back", .maximum = 4};
  EXPECT_THROW(registry.add<LastRank>({"other", "", {within, within}}), std::invalid_argument);
}

TEST(PolicyRegistry, RefusesWhatCouldNotBeNamedOrMade) {
  PolicyRegistry registry;
  for (const char* name : {"", "two words", "two\nlines", "m\u00fcller"}) {
    EXPECT_THROW(registry.add<LastRank>({name, ""}), std::invalid_argument) << name;
  }
  EXPECT_THROW(registry.add_factory<DecodeRouting>({"none", ""}, nullptr), std::invalid_argument);
  EXPECT_TRUE(registry.of("decode_routing").empty());
}

TEST(PolicyRegistry, AFactoryThatFailsIsNamed) {
  PolicyRegistry registry;
  using Made = std::unique_ptr<Policy<DecodeRouting>>;
  registry.add_factory<DecodeRouting>({"null", ""}, [](const PolicyContext&) { return Made(); });
  registry.add_factory<DecodeRouting>({"throws", ""},
                                      [](const PolicyContext&) -> Made { throw 42; });
  registry.add_factory<DecodeRouting>(
      {"blames", ""}, [](const PolicyContext&) -> Made { throw ConfigError("no such table"); });
  const auto message = [&](const char* name) -> std::string {
    try {
      registry.make<DecodeRouting>({name});
    } catch (const SimulationError& error) {
      return error.what();
    } catch (const ConfigError& error) {
      return std::string("user: ") + error.what();
    }
    return "";
  };
  EXPECT_EQ(message("null"),
            "the policy decode_routing \"null\" returned a null pointer while being made");
  EXPECT_EQ(message("throws"),
            "the policy decode_routing \"throws\" threw something that is not a "
            "std::exception while being made");
  EXPECT_EQ(message("blames"),
            "user: /policies/decode_routing: the policy decode_routing "
            "\"blames\" cannot be made: no such table");
}

class Asks : public Policy<DecodeRouting> {
 public:
  explicit Asks(const PolicyContext& context) : estimates(context.estimates) {}
  std::optional<std::size_t> decide(const View&) override { return 0; }
  std::shared_ptr<const OutputEstimates> estimates;
};

TEST(OutputEstimates, AreForWhoStatesTheirError) {
  PolicyRegistry registry = builtin_policies();
  registry.add<Asks>({"asks", "", {{.name = kEstimateError, .otherwise = 0, .help = "h"}}});
  registry.add<Asks>({"asks_not", ""});
  const std::vector<Tokens> outputs(2001, 1000);
  const auto estimates = [&](const PolicyChoice& choice) {
    Policies made =
        make_policies(registry, {{"decode_routing", choice}}, 1, [&] { return outputs; });
    return dynamic_cast<Asks&>(*made.get<DecodeRouting>()).estimates;
  };
  EXPECT_EQ(estimates({"asks_not"}), nullptr);
  EXPECT_EQ(estimates({"asks"})->of({.id = 7}), 1000);
  const auto wrong = estimates({"asks", {{kEstimateError, 0.5}}});
  std::vector<double> logs;
  for (std::int64_t id = 0; id < 2001; ++id) {
    logs.push_back(std::log(static_cast<double>(wrong->of({.id = id})) / 1000));
  }
  std::ranges::sort(logs);
  // The error of a median of 2,001 draws is 0.5 x 1.25 / sqrt(2001) = 0.014; one in six of a normal
  // distribution lies a deviation below its mean.
  EXPECT_NEAR(logs[1000], 0, 5 * 0.014);
  EXPECT_NEAR(logs[317], -0.5, 0.1);
}

struct Nested {
  std::int32_t a = 0;
};
struct Holder {
  std::span<const Nested> all;
};
struct NestedMore {
  std::int32_t a = 0, b = 0;
};
struct HolderMore {
  std::span<const NestedMore> all;
};

// Changes that move nothing else in memory: in padding, of a type, behind the last function.
struct InPadding {
  std::int32_t a = 0;
  std::int64_t b = 0;
};
struct InPaddingAdded {
  std::int32_t a = 0, c = 0;
  std::int64_t b = 0;
};
struct OtherType {
  std::int32_t a = 0;
  double b = 0;
};
struct OneFunction {
  virtual ~OneFunction() = default;
  virtual int first() { return 0; }
};
struct TwoFunctions {
  virtual ~TwoFunctions() = default;
  virtual int first() { return 0; }
  virtual int second() { return 0; }
};

template <class Struct>
std::uint64_t hash_of() {
  abi::Layout layout;
  layout.add_type<Struct>();
  return layout.hash();
}

TEST(PolicyAbi, EveryChangeOfTheLayoutChangesIt) {
  EXPECT_EQ(sizeof(InPadding), sizeof(InPaddingAdded));
  EXPECT_NE(hash_of<InPadding>(), hash_of<InPaddingAdded>());
  EXPECT_NE(hash_of<InPadding>(), hash_of<OtherType>());
  EXPECT_NE(hash_of<Holder>(), hash_of<HolderMore>());  // of what a span leads to
  EXPECT_NE(hash_of<OneFunction>(), hash_of<TwoFunctions>());
}

struct Ranks {
  std::vector<std::int32_t> sequences;
  std::vector<Tokens> kv;
  std::vector<std::int32_t> slots = std::vector<std::int32_t>(sequences.size(), 4);
  std::vector<std::int64_t> of_instance = {0};
  std::vector<std::int32_t> sources = {};

  DecodeRoutingView view(Tokens context, Tokens headroom) const {
    static std::int64_t round = 0;
    DecodeRoutingView v;
    v.ranks.round = ++round;
    v.request.context_tokens = context;
    v.headroom = headroom;
    v.ranks.sequences = sequences;
    v.ranks.kv_tokens = kv;
    v.ranks.slots = slots;
    v.ranks.instance_sequences = of_instance;
    v.ranks.prefill_ranks = sources;
    v.ranks.kv_capacity_per_rank = 1000;
    v.ranks.ranks_per_instance = static_cast<std::int32_t>(sequences.size() / of_instance.size());
    return v;
  }
};

NamedPolicy<DecodeRouting> decode_router(const char* name) {
  return builtin_policies().make<DecodeRouting>({name});
}

TEST(LeastSequences, FewestSequencesThenLeastKvThenLowest) {
  const auto router = decode_router("least_sequences");
  const Ranks ranks{{2, 1, 1, 1}, {0, 500, 300, 300}};
  EXPECT_EQ(router->decide(ranks.view(100, 0)), 2u);
  const Ranks full{{4, 1, 2, 4}, {0, 950, 700, 0}};
  EXPECT_EQ(router->decide(full.view(100, 0)), 2u);  // rank 1: 950 + 100 + 1 > 1,000
  EXPECT_EQ(router->decide(full.view(299, 0)), 2u);  // 700 + 299 + 1 = 1,000
  EXPECT_EQ(router->decide(full.view(299, 1)), std::nullopt);
}

TEST(LeastSequences, KeepsItsOrderThroughARound) {
  const auto router = decode_router("least_sequences");
  RandomStream random(1, "requests");
  Ranks ranks{{3, 0, 1, 1, 2, 0, 1}, {300, 0, 200, 100, 50, 0, 100}};
  for (int round = 0; round < 50; ++round) {
    DecodeRoutingView view = ranks.view(0, 0);  // its spans see what is chosen
    for (int decision = 0; decision < 5; ++decision) {
      view.request.context_tokens = static_cast<Tokens>(random.uniform() * 100);
      std::optional<std::size_t> expected;
      for (std::size_t r = 0; r < ranks.kv.size(); ++r) {
        const auto load = [&](std::size_t of) {
          return std::pair(ranks.sequences[of], ranks.kv[of]);
        };
        if (view.fits(r) && (!expected || load(r) < load(*expected))) expected = r;
      }
      ASSERT_EQ(router->decide(view), expected) << round << " " << decision;
      if (!expected) break;
      ++ranks.sequences[*expected];
      ranks.kv[*expected] += view.request.context_tokens;
    }
    for (std::size_t r = 0; r < ranks.kv.size(); ++r) {  // some end
      ranks.sequences[r] = std::max(0, ranks.sequences[r] - static_cast<int>(random.uniform() * 3));
      ranks.kv[r] = ranks.kv[r] * 2 / 3;
    }
  }
}

TEST(DecodeRoutingView, AnEmptyRankNeedsNoHeadroom) {
  const Ranks ranks{{0, 1}, {0, 0}};
  EXPECT_TRUE(ranks.view(999, 500).fits(0));
  EXPECT_FALSE(ranks.view(999, 500).fits(1));
  EXPECT_FALSE(ranks.view(1000, 0).fits(0));
}

TEST(DecodeRoutingView, TheLargestHeadroomFitsAnEmptyRankOnly) {
  const Ranks ranks{{0, 1}, {0, 0}};
  const Tokens largest = std::numeric_limits<Tokens>::max();  // + 999 + 1 would overflow
  EXPECT_TRUE(ranks.view(999, largest).fits(0));
  EXPECT_FALSE(ranks.view(999, largest).fits(1));
}

TEST(DecodeRoutingView, AnInstanceTakesNoMoreThanAdmissionAllows) {
  Ranks ranks{{1, 0, 1, 1}, {0, 0, 0, 0}};
  ranks.of_instance = {1, 2};
  DecodeRoutingView view = ranks.view(1, 0);
  view.most_sequences = 2;
  EXPECT_TRUE(view.fits(0));
  EXPECT_FALSE(view.fits(2));
  EXPECT_TRUE(view.has_room(2));
}

TEST(RoundRobinDecode, SkipsRanksWithoutRoom) {
  const auto router = decode_router("round_robin");
  const Ranks ranks{{0, 4, 0}, {0, 0, 0}};
  EXPECT_EQ(router->decide(ranks.view(1, 0)), 0u);
  EXPECT_EQ(router->decide(ranks.view(1, 0)), 2u);
  EXPECT_EQ(router->decide(ranks.view(1, 0)), 0u);
}

TEST(LongestContextAware, StaysBelowTheDieThatPacesAll) {
  const auto router = decode_router("longest_context_aware");
  // Rank 0 paces with 600. 300 more fit below it on ranks 1 and 2, of which 2 has fewer sequences,
  // though 1 has less KV; rank 3 with the fewest of all would become the slowest.
  const Ranks ranks{{3, 2, 1, 0}, {600, 100, 250, 400}};
  EXPECT_EQ(router->decide(ranks.view(300, 0)), 2u);
  // 550 raise the pace anywhere: least on rank 1, to 650.
  EXPECT_EQ(router->decide(ranks.view(550, 0)), 1u);
}

TEST(ConnectionMapRouting, TheGroupsTakeTurns) {
  const auto router = decode_router("connection_map");
  Ranks ranks{{0, 1, 2, 0}, {0, 0, 0, 0}};
  ranks.sources = {0, 0, 1, 1};
  EXPECT_EQ(router->decide(ranks.view(1, 0)), 0u);
  EXPECT_EQ(router->decide(ranks.view(1, 0)), 3u);
  EXPECT_EQ(router->decide(ranks.view(1, 0)), 0u);
  ranks.slots = {0, 0, 4, 4};
  EXPECT_EQ(router->decide(ranks.view(1, 0)), 3u);
}

/// A step of 10 ms and 1 ms a sequence of the fullest rank; 2 tokens a step.
class LinearStep : public DecodeForecast {
 public:
  Seconds step(std::int32_t, std::span<const std::int32_t> sequences,
               std::span<const Tokens>) const override {
    return 0.010 + 0.001 * std::ranges::max(sequences);
  }
  double tokens_per_step() const override { return 2; }
};

struct Queue {
  std::vector<RequestView> waiting;
  Ranks ranks{{2, 2}, {0, 0}};
  LinearStep forecast = {};

  DecodeAdmissionView view(Seconds now = 0) const {
    DecodeAdmissionView v;
    v.now = now;
    v.waiting = waiting;
    v.ranks = ranks.view(0, 0).ranks;
    v.ranks.npus_per_instance = 1;
    v.ranks.forecast = &forecast;
    return v;
  }
};

NamedPolicy<DecodeAdmission> admission(const PolicyChoice& choice) {
  return builtin_policies().make<DecodeAdmission>(choice);
}

TEST(SloAdmission, AdmitsWhileThePredictedTpotMeetsTheTarget) {
  Queue queue{{{.context_tokens = 5}}};
  queue.ranks.of_instance = {4};
  // With one more the fullest rank has 3: 13 ms a step, 6.5 ms a token.
  const auto at = [&](double tpot) {
    return admission({"slo", {{"tpot", tpot}, {"margin", 1}}})->decide(queue.view());
  };
  EXPECT_FALSE(at(0.0064));
  ASSERT_TRUE(at(0.0066));
  EXPECT_EQ(at(0.0066)->most_sequences, 5);
  EXPECT_EQ(at(0.0066)->headroom, 10);  // 1 % of 1,000
  queue.ranks.of_instance = {0};
  EXPECT_TRUE(at(1e-6));  // an empty instance always takes one
}

TEST(SloAdmission, KeepsTheTightestLimitOfTheClassesSeen) {
  Queue queue{{{.limits = {1, 0.001}}}};
  queue.ranks.of_instance = {4};
  const auto slo = admission({"slo"});
  EXPECT_FALSE(slo->decide(queue.view()));
  queue.waiting[0].limits.tpot = 1;
  EXPECT_FALSE(slo->decide(queue.view()));  // it would slow the others down
  EXPECT_TRUE(admission({"slo"})->decide(queue.view()));
}

TEST(FixedAdmission, AllowsAnInstanceItsBatch) {
  const Queue queue{{{}}};
  EXPECT_EQ(admission({"fixed", {{"batch", 7}}})->decide(queue.view())->most_sequences, 7);
}

TEST(PriorityAdmission, WaitingRaisesThePriority) {
  const Queue queue{{{.waiting_since = 0, .priority = 0}, {.waiting_since = 20, .priority = 3}}};
  const auto priority = admission({"priority", {{"ageing", 10}}});
  EXPECT_EQ(priority->decide(queue.view(20))->index, 1u);  // 2 against 3
  const Queue longer{{{.waiting_since = 0, .priority = 0}, {.waiting_since = 35, .priority = 3}}};
  EXPECT_EQ(priority->decide(longer.view(35))->index, 0u);  // 3.5 against 3
}

TEST(ShortestFirst, UntilTheFirstHasWaitedTooLong) {
  const auto shortest = builtin_policies().make<PrefillBatching>({"shortest_first"});
  const std::vector<RequestView> waiting{
      {.context_tokens = 9}, {.context_tokens = 4}, {.context_tokens = 4}};
  PrefillBatchingView view;
  view.waiting = waiting;
  view.now = 4.9;
  EXPECT_EQ(shortest->decide(view), 1u);
  view.now = 5;
  EXPECT_EQ(shortest->decide(view), 0u);
}

TEST(FirstComeBatching, ClosesABatchAtItsTokens) {
  const auto fcfs = builtin_policies().make<PrefillBatching>({"fcfs", {{"tokens", 100}}});
  PrefillBatchingView view;
  view.budget = 1000;
  view.npus = 2;
  view.sequences = 1;
  view.budget_left = 801;
  EXPECT_EQ(fcfs->decide(view), 0u);
  view.budget_left = 800;  // 200 taken, 100 an NPU
  EXPECT_EQ(fcfs->decide(view), std::nullopt);
}

/// 1 s a token; instance 1 has 5 s to do and 8 tokens of the prompt.
class TwoInstances : public PrefillForecast {
 public:
  Seconds batch(std::int32_t, std::span<const model::PrefillSequence> sequences) const override {
    return static_cast<double>(sequences[0].new_tokens);
  }
  Seconds backlog(std::int32_t instance) const override { return instance == 1 ? 5 : 0; }
  Tokens cached_tokens(const RequestView& request, std::int32_t instance) const override {
    return instance == 1 ? std::min<Tokens>(8, request.context_tokens - 1) : 0;
  }
};

TEST(KvCentric, WeighsTheBacklogAgainstThePrefixHit) {
  const TwoInstances forecast;
  const std::vector<PrefillInstanceView> instances(2);
  const auto router = builtin_policies().make<PrefillRouting>({"kv_centric"});
  const auto route = [&](Tokens context) {
    return router->decide({0, {.context_tokens = context}, instances, &forecast});
  };
  EXPECT_EQ(route(5), 0);   // 5 + 1 against 5
  EXPECT_EQ(route(10), 1);  // 5 + 2 against 10
}

TEST(EarlyRejection, OfWhatIsPredictedToBeLate) {
  const TwoInstances forecast;
  const std::vector<PrefillInstanceView> instances(2);
  const auto admits = [&](const Parameters& given, Seconds limit) {
    const RequestView request{.context_tokens = 10, .limits = {limit, 1}};
    return builtin_policies()
        .make<PrefillAdmission>({"ttft", given})
        ->decide({0, request, 1, instances, &forecast});
  };
  EXPECT_EQ(admits({{"margin", 1}}, 7), Verdict::kAccept);  // 5 + 2
  EXPECT_EQ(admits({}, 7), Verdict::kReject);               // 0.9 x 7 = 6.3
  EXPECT_EQ(admits({{"ttft", 20}}, 1), Verdict::kAccept);
}

TEST(CostAware, APrefixIsWorthNoLessThanWhatHangsOnIt) {
  const auto eviction = builtin_policies().make<CacheEviction>({"cost_aware"});
  const double tail = eviction->decide({.use = 1, .uses = 1, .tokens_before = 15000, .tokens = 10});
  EXPECT_EQ(tail, 20);  // 10 tokens at twice the cost
  EXPECT_EQ(eviction->decide({.use = 2, .uses = 1, .tokens_before = 0, .tokens = 10}), 20);
  // Of another prompt; above what was evicted last.
  EXPECT_EQ(eviction->decide({.use = 9, .uses = 2, .tokens = 10, .last_evicted = 5}), 25);
}

TEST(PreemptionPolicies, NameWhoGoes) {
  const std::vector<RequestView> running{{.context_tokens = 9, .priority = 2},
                                         {.context_tokens = 7, .priority = 1},
                                         {.context_tokens = 5, .priority = 1}};
  PreemptionView view;
  view.running = running;
  const auto chosen = [&](const char* name) {
    return builtin_policies().make<Preemption>({name})->decide(view);
  };
  EXPECT_EQ(chosen("newest"), 0u);
  EXPECT_EQ(chosen("priority"), 1u);
  EXPECT_EQ(chosen("least_recompute"), 2u);
}

/// A step takes 50 ms as deployed, 30 ms whole, 49.5 ms with another division.
class ThreePlans : public PlanForecast {
 public:
  Seconds step(std::size_t plan) const override { return std::array{0.05, 0.03, 0.0495}[plan]; }
};

TEST(PipelinePlanPolicies, LookAtTheBatchOrAtItsSteps) {
  const ThreePlans forecast;
  const std::vector<model::DecodePlan> plans{{2, 16, 32}, {1, 24, 48}, {2, 18, 36}};
  const std::vector<std::int32_t> sequences{7, 9, 8, 8};  // 8 a rank
  PipelinePlanView view{.sequences = sequences, .plans = plans, .forecast = &forecast};
  const auto chosen = [&](const PolicyChoice& choice) {
    return builtin_policies().make<PipelinePlan>(choice)->decide(view);
  };
  EXPECT_EQ(chosen({"deployed"}), 0u);
  EXPECT_EQ(chosen({"by_batch"}), 0u);
  EXPECT_EQ(chosen({"by_batch", {{"least", 8.5}}}), 1u);
  view.current = 1;
  EXPECT_EQ(chosen({"by_batch"}), 1u);  // back from 8 x 1.1 = 8.8 on
  EXPECT_EQ(chosen({"by_batch", {{"hysteresis", 0}}}), 0u);
  view.current = 0;
  view.change = 1.9;
  EXPECT_EQ(chosen({"fastest"}), 1u);  // 100 steps of 20 ms less are 2 s
  view.change = 2.1;
  EXPECT_EQ(chosen({"fastest"}), 0u);
  view.change = 0;
  view.steps = 150;
  EXPECT_EQ(chosen({"fastest"}), 0u);  // the next look is after 200
  EXPECT_EQ(chosen({"fastest", {{"interval", 50}}}), 1u);
  EXPECT_EQ(chosen({"fastest", {{"interval", 50}, {"gain", 0.5}}}), 0u);
}

}  // namespace
}  // namespace cmsim::serve
