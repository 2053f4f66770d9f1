// The registry, and the decisions of the policies that come with the simulator.

#include "cmsim/serve/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmsim/base/error.hpp"

namespace cmsim::serve {
namespace {

using ::testing::HasSubstr;

TEST(PolicyRegistry, ListsOneLineOfEach) {
  const auto all = builtin_policies().list();
  EXPECT_EQ(all.size(), 6u);
  for (const PolicyInfo& info : all) {
    EXPECT_FALSE(info.description.empty()) << info.name;
    EXPECT_EQ(info.description.find('\n'), std::string::npos) << info.name;
  }
}

TEST(PolicyRegistry, UnknownNameSaysWhatIsKnown) {
  try {
    builtin_policies().check(PolicyKind::kDecodeRouting, "least_loadd");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/policies/decode_routing"));
    EXPECT_THAT(error.what(), HasSubstr("\"round_robin\""));
    EXPECT_THAT(error.what(), HasSubstr("did you mean \"least_loaded\"?"));
  }
  EXPECT_NO_THROW(builtin_policies().check(PolicyKind::kPrefillBatching, "fcfs"));
  EXPECT_THROW(builtin_policies().make_prefill_batcher("least_loaded", {}), ConfigError);
}

class LastRank : public DecodeRouter {
 public:
  explicit LastRank(std::uint64_t run_seed) : seed(run_seed) {}
  std::optional<std::size_t> route(const DecodeRouterView& view) override {
    return view.sequences.size() - 1;
  }
  std::uint64_t seed;
};

TEST(PolicyRegistry, TakesPoliciesFromOutside) {
  PolicyRegistry registry = builtin_policies();
  registry.register_policy("last", "the last die", [](const PolicyContext& context) {
    return std::make_unique<LastRank>(context.seed);
  });
  const auto router = registry.make_decode_router("last", {.seed = 5});
  EXPECT_EQ(dynamic_cast<LastRank&>(*router).seed, 5u);
  EXPECT_THROW(registry.register_policy("last", "again",
                                        [](const PolicyContext& context) {
                                          return std::make_unique<LastRank>(context.seed);
                                        }),
               std::invalid_argument);
}

struct Ranks {
  std::vector<std::int32_t> sequences;
  std::vector<Tokens> kv;
  DecodeRouterView view(Tokens context, Tokens headroom) const {
    DecodeRouterView v;
    v.request.context_tokens = context;
    v.headroom = headroom;
    v.sequences = sequences;
    v.kv_tokens = kv;
    v.slots_per_rank = 4;
    v.kv_capacity_per_rank = 1000;
    return v;
  }
};

TEST(LeastLoadedDecode, FewestSequencesThenLeastKvThenLowest) {
  const auto router = builtin_policies().make_decode_router("least_loaded", {});
  const Ranks ranks{{2, 1, 1, 1}, {0, 500, 300, 300}};
  EXPECT_EQ(router->route(ranks.view(100, 0)), 2u);
  const Ranks full{{4, 1, 2, 4}, {0, 950, 700, 0}};
  EXPECT_EQ(router->route(full.view(100, 0)), 2u);  // rank 1: 950 + 100 + 1 > 1,000
  EXPECT_EQ(router->route(full.view(299, 0)), 2u);  // 700 + 299 + 1 = 1,000
  EXPECT_EQ(router->route(full.view(299, 1)), std::nullopt);
}

TEST(DecodeRouterView, AnEmptyRankNeedsNoHeadroom) {
  const Ranks ranks{{0, 1}, {0, 0}};
  EXPECT_TRUE(ranks.view(999, 500).fits(0));
  EXPECT_FALSE(ranks.view(999, 500).fits(1));
  EXPECT_FALSE(ranks.view(1000, 0).fits(0));
}

TEST(RoundRobinDecode, SkipsRanksWithoutRoom) {
  const auto router = builtin_policies().make_decode_router("round_robin", {});
  const Ranks ranks{{0, 4, 0}, {0, 0, 0}};
  EXPECT_EQ(router->route(ranks.view(1, 0)), 0u);
  EXPECT_EQ(router->route(ranks.view(1, 0)), 2u);
  EXPECT_EQ(router->route(ranks.view(1, 0)), 0u);
}

}  // namespace
}  // namespace cmsim::serve
