// The registry, and the decisions of the policies that come with the simulator.

#include "cmsim/serve/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "cmsim/base/error.hpp"

namespace cmsim::serve {
namespace {

using ::testing::HasSubstr;

TEST(PolicyRegistry, ListsOneLineOfEach) {
  const auto all = builtin_policies().list();
  EXPECT_EQ(all.size(), 7u);
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

TEST(PolicyRegistry, RefusesWhatCouldNotBeNamedOrMade) {
  PolicyRegistry registry;
  const PolicyFactory<DecodeRouter> factory = [](const PolicyContext&) {
    return std::make_unique<LastRank>(1);
  };
  for (const char* name : {"", "two words", "two\nlines", "m\u00fcller"}) {
    EXPECT_THROW(registry.register_policy(name, "", factory), std::invalid_argument) << name;
  }
  EXPECT_THROW(registry.register_policy("none", "", PolicyFactory<DecodeRouter>()),
               std::invalid_argument);
  EXPECT_TRUE(registry.list().empty());
}

TEST(PolicyRegistry, AFactoryThatFailsIsNamed) {
  PolicyRegistry registry;
  using Made = std::unique_ptr<LastRank>;
  registry.register_policy("null", "", [](const PolicyContext&) { return Made(); });
  registry.register_policy("throws", "", [](const PolicyContext&) -> Made { throw 42; });
  registry.register_policy(
      "blames", "", [](const PolicyContext&) -> Made { throw ConfigError("no such table"); });
  const auto message = [&](const char* name) -> std::string {
    try {
      registry.make_decode_router(name, {});
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

template <class... Struct>
constexpr bool all_fields_listed() {
  return ((std::tuple_size_v<std::remove_const_t<decltype(abi::kFields<Struct>)>> ==
           abi::field_count<Struct>()) &&
          ...);
}

TEST(PolicyAbi, KnowsEveryFieldThatPluginsSee) {
  static_assert(abi::field_count<RequestView>() == 6);
  static_assert(all_fields_listed<RequestView, PrefillInstanceView, PrefillRouterView,
                                  PrefillBatcherView, DecodeAdmissionView, Admission,
                                  DecodeRouterView, PolicyContext, PolicyInfo>());
}

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
  using View = Admission;
  virtual ~OneFunction() = default;
  virtual int first(const View&) = 0;
};
struct TwoFunctions {
  using View = Admission;
  virtual ~TwoFunctions() = default;
  virtual int first(const View&) = 0;
  virtual int second(const View&) = 0;
};

}  // namespace

template <>
inline constexpr auto abi::kFields<InPadding> = std::tuple(&InPadding::a, &InPadding::b);
template <>
inline constexpr auto abi::kFields<InPaddingAdded> = std::tuple(&InPaddingAdded::a,
                                                                &InPaddingAdded::b);
template <>
inline constexpr auto abi::kFields<OtherType> = std::tuple(&OtherType::a, &OtherType::b);

namespace {

template <class Struct>
std::uint64_t hash_of() {
  abi::Layout layout;
  layout.add_fields<Struct>();
  return layout.hash();
}

TEST(PolicyAbi, EveryChangeOfTheLayoutChangesIt) {
  EXPECT_EQ(sizeof(InPadding), sizeof(InPaddingAdded));
  EXPECT_NE(hash_of<InPadding>(), hash_of<InPaddingAdded>());
  EXPECT_NE(hash_of<InPadding>(), hash_of<OtherType>());
  abi::Layout one, two;
  one.add_interface(&OneFunction::first);
  two.add_interface(&TwoFunctions::first);
  EXPECT_NE(one.hash(), two.hash());
}

struct Ranks {
  std::vector<std::int32_t> sequences;
  std::vector<Tokens> kv;
  std::vector<std::int32_t> slots = std::vector<std::int32_t>(sequences.size(), 4);
  DecodeRouterView view(Tokens context, Tokens headroom) const {
    DecodeRouterView v;
    v.request.context_tokens = context;
    v.headroom = headroom;
    v.sequences = sequences;
    v.kv_tokens = kv;
    v.slots = slots;
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

TEST(DecodeRouterView, TheLargestHeadroomFitsAnEmptyRankOnly) {
  const Ranks ranks{{0, 1}, {0, 0}};
  const Tokens largest = std::numeric_limits<Tokens>::max();  // + 999 + 1 would overflow
  EXPECT_TRUE(ranks.view(999, largest).fits(0));
  EXPECT_FALSE(ranks.view(999, largest).fits(1));
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
