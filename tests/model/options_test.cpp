#include "cmsim/model/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/published.hpp"

namespace cmsim::model {
namespace {

using ::testing::HasSubstr;

ModelOptions read(std::string_view text) {
  const ConfigDocument document = ConfigDocument::from_text(text, "scenario.json");
  return read_model_options(ConfigNode(document), cloudmatrix());
}

std::string error_of(std::string_view text) {
  try {
    read(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << text;
  return "";
}

TEST(ModelOptions, DefaultToThePublishedSystem) {
  const ModelOptions options = read("{}");
  EXPECT_EQ(options.decode.draft_tokens, 1);
  EXPECT_EQ(options.decode.acceptance, 0.7);
  EXPECT_EQ(options.decode.microbatches, 0);
  EXPECT_FALSE(options.decode.auto_split);
  EXPECT_EQ(options.decode.attention_aic, 0);  // as the deployment needs
  EXPECT_EQ(options.decode.attention_aiv, 0);
  EXPECT_EQ(options.decode.planned_context, 0);
  EXPECT_EQ(options.decode.launch, Launch::kInNpu);
  EXPECT_EQ(options.decode.launch_time, 0.7e-3);
  EXPECT_EQ(options.decode.exchange, ExchangeKind::kFused);
  EXPECT_EQ(options.decode.staleness, 0);
  EXPECT_EQ(options.prefill.staleness, 1);
  EXPECT_EQ(options.prefill.microbatches, 0);
  EXPECT_TRUE(options.prefill.sequence_packing);
  EXPECT_EQ(options.precision.attention_projections, Precision::kInt8);
  EXPECT_EQ(options.precision.experts, Precision::kInt8);
  EXPECT_EQ(options.precision.dispatch, Precision::kInt8);
  EXPECT_EQ(options.precision.kv_cache, Precision::kBf16);
  EXPECT_EQ(options.experts.placement, Placement::kEplb);
  EXPECT_EQ(options.experts.shared_copies, -1);
  EXPECT_EQ(options.experts.redundant, -1);
  EXPECT_EQ(options.experts.redundant_on, RedundantOn::kRouted);
  EXPECT_EQ(options.experts.skew, 1);
  EXPECT_EQ(options.experts.seed, 1u);
}

TEST(ModelOptions, ReadEveryKeyOfDecode) {
  const DecodeOptions decode = read(R"({"decode": {
      "mtp": {"draft_tokens": 3, "acceptance": 0.5}, "microbatches": 4,
      "split": {"auto": true, "attention_aic": 1, "attention_aiv": 47}, "launch": "cpu",
      "launch_time": "600us", "exchange": "two_level", "placement_staleness": 1.5,
      "planned_context": 2048}})")
                                   .decode;
  EXPECT_EQ(decode.draft_tokens, 3);
  EXPECT_EQ(decode.acceptance, 0.5);
  EXPECT_EQ(decode.microbatches, 4);
  EXPECT_TRUE(decode.auto_split);
  EXPECT_EQ(decode.attention_aic, 1);
  EXPECT_EQ(decode.attention_aiv, 47);
  EXPECT_EQ(decode.launch, Launch::kCpu);
  EXPECT_DOUBLE_EQ(decode.launch_time, 600e-6);
  EXPECT_EQ(decode.exchange, ExchangeKind::kTwoLevel);
  EXPECT_EQ(decode.staleness, 1.5);
  EXPECT_EQ(decode.planned_context, 2048);
  EXPECT_EQ(read(R"({"decode": {"exchange": "basic"}})").decode.exchange, ExchangeKind::kBasic);
}

TEST(ModelOptions, MicrobatchesMayBeAutoPlainOrWithASource) {
  EXPECT_EQ(read(R"({"decode": {"microbatches": "auto"}})").decode.microbatches, 0);
  EXPECT_EQ(
      read(R"({"decode": {"microbatches": {"value": "auto", "source": "P"}}})").decode.microbatches,
      0);
  EXPECT_EQ(read(R"({"decode": {"microbatches": {"value": 2}}})").decode.microbatches, 2);
}

TEST(ModelOptions, ReadEveryKeyOfTheOthers) {
  const ModelOptions options = read(R"({
      "prefill": {"microbatches": 1, "sequence_packing": false, "placement_staleness": 0.5},
      "precision": {"attention_projections": "bf16", "experts": "bf16", "dispatch": "bf16",
                    "kv_cache": "int8"},
      "experts": {"placement": "contiguous", "shared_copies": 32, "redundant": 0,
                  "redundant_on": "any", "skew": 2, "seed": 7, "popularity": {"decode": {"tail": 0.25}}}})");
  EXPECT_EQ(options.prefill.microbatches, 1);
  EXPECT_FALSE(options.prefill.sequence_packing);
  EXPECT_EQ(options.prefill.staleness, 0.5);
  EXPECT_EQ(options.precision.attention_projections, Precision::kBf16);
  EXPECT_EQ(options.precision.experts, Precision::kBf16);
  EXPECT_EQ(options.precision.dispatch, Precision::kBf16);
  EXPECT_EQ(options.precision.kv_cache, Precision::kInt8);
  EXPECT_EQ(options.experts.placement, Placement::kContiguous);
  EXPECT_EQ(options.experts.shared_copies, 32);
  EXPECT_EQ(options.experts.redundant_on, RedundantOn::kAny);
  EXPECT_EQ(options.experts.redundant, 0);
  EXPECT_EQ(options.experts.skew, 2);
  EXPECT_EQ(options.experts.seed, 7u);
  EXPECT_EQ(options.popularity.decode.tail, 0.25);
  EXPECT_EQ(options.popularity.prefill.tail, fitted_popularity().prefill.tail);
  EXPECT_EQ(read(R"({"experts": {"placement": "balanced"}})").experts.placement,
            Placement::kBalanced);
}

struct Refusal {
  const char* text;
  const char* pointer;
};
void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.text; }

class ModelOptionsRefuse : public testing::TestWithParam<Refusal> {};

TEST_P(ModelOptionsRefuse, NamesTheFileTheLineAndThePointer) {
  const std::string error = error_of(GetParam().text);
  EXPECT_THAT(error, HasSubstr("scenario.json:1"));
  EXPECT_THAT(error, HasSubstr(GetParam().pointer));
}

INSTANTIATE_TEST_SUITE_P(
    Each, ModelOptionsRefuse,
    testing::Values(
        Refusal{R"({"decode": {"mtp": {"draft_tokens": 9}}})", "/decode/mtp/draft_tokens"},
        Refusal{R"({"decode": {"mtp": {"draft_tokens": -1}}})", "/decode/mtp/draft_tokens"},
        Refusal{R"({"decode": {"mtp": {"acceptance": 1.1}}})", "/decode/mtp/acceptance"},
        Refusal{R"({"decode": {"mtp": {"drafts": 1}}})", "/decode/mtp"},
        Refusal{R"({"decode": {"microbatches": 0}})", "/decode/microbatches"},
        Refusal{R"({"decode": {"microbatches": 5}})", "/decode/microbatches"},
        Refusal{R"({"decode": {"microbatches": "two"}})", "/decode/microbatches"},
        Refusal{R"({"decode": {"split": {"attention_aic": 24}}})", "/decode/split/attention_aic"},
        Refusal{R"({"decode": {"split": {"attention_aic": 0}}})", "/decode/split/attention_aic"},
        Refusal{R"({"decode": {"split": {"attention_aiv": 48}}})", "/decode/split/attention_aiv"},
        Refusal{R"({"decode": {"split": {"auto": 1}}})", "/decode/split/auto"},
        Refusal{R"({"decode": {"launch": "gpu"}})", "/decode/launch"},
        Refusal{R"({"decode": {"launch_time": "2s"}})", "/decode/launch_time"},
        Refusal{R"({"decode": {"launch_time": 0.7}})", "/decode/launch_time"},
        Refusal{R"({"decode": {"exchange": "fast"}})", "/decode/exchange"},
        Refusal{R"({"decode": {"placement_staleness": 2.5}})", "/decode/placement_staleness"},
        Refusal{R"({"decode": {"planned_context": 0}})", "/decode/planned_context"},
        Refusal{R"({"decode": {"microbatchs": 2}})", "/decode"},
        Refusal{R"({"prefill": {"microbatches": "both"}})", "/prefill/microbatches"},
        Refusal{R"({"prefill": {"sequence_packing": "yes"}})", "/prefill/sequence_packing"},
        Refusal{R"({"prefill": {"placement_staleness": -1}})", "/prefill/placement_staleness"},
        Refusal{R"({"prefill": {"packing": true}})", "/prefill"},
        Refusal{R"({"precision": {"experts": "fp8"}})", "/precision/experts"},
        Refusal{R"({"precision": {"weights": "int8"}})", "/precision"},
        Refusal{R"({"experts": {"placement": "even"}})", "/experts/placement"},
        Refusal{R"({"experts": {"shared_copies": -2}})", "/experts/shared_copies"},
        Refusal{R"({"experts": {"redundant": 1.5}})", "/experts/redundant"},
        Refusal{R"({"experts": {"redundant_on": "all"}})", "/experts/redundant_on"},
        Refusal{R"({"experts": {"skew": 4}})", "/experts/skew"},
        Refusal{R"({"experts": {"balancedness": 0}})", "/experts/balancedness"},
        Refusal{R"({"experts": {"balancedness": 1.1}})", "/experts/balancedness"},
        Refusal{R"({"experts": {"seed": -1}})", "/experts/seed"},
        Refusal{R"({"experts": {"staleness": 1}})", "/experts"}));

TEST(ModelOptions, ADieWithOneCoreOfAKindIsNotDivided) {
  hw::Platform platform = cloudmatrix();
  const auto error_on = [&](const char* text) -> std::string {
    const ConfigDocument document = ConfigDocument::from_text(text, "scenario.json");
    try {
      read_model_options(ConfigNode(document), platform);
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    }
  };
  const auto why = HasSubstr("cannot be divided between two streams");
  for (const auto& [aic, aiv] : {std::pair{1, 48}, {24, 1}, {1, 1}}) {
    platform.die.aic_cores = aic;
    platform.die.aiv_cores = aiv;
    for (const char* fine :
         {"{}", R"({"decode": {"microbatches": 1}})", R"({"decode": {"microbatches": "auto"}})",
          R"({"decode": {"split": {"auto": false}}})"}) {
      EXPECT_EQ(error_on(fine), "") << fine;
    }
    for (const char* refused :
         {R"({"decode": {"microbatches": 2}})", R"({"decode": {"split": {"auto": true}}})",
          R"({"decode": {"split": {"attention_aic": 1}}})",
          R"({"decode": {"split": {"attention_aiv": 1}}})"}) {
      EXPECT_THAT(error_on(refused), why) << refused;
    }
  }
  platform.die.aic_cores = platform.die.aiv_cores = 2;
  EXPECT_EQ(error_on(R"({"decode": {"split": {"attention_aic": 1, "attention_aiv": 1}}})"), "");
}

TEST(ModelOptions, SuggestTheWordThatWasMeant) {
  EXPECT_THAT(error_of(R"({"experts": {"placement": "eplp"}})"), HasSubstr("eplb"));
  EXPECT_THAT(error_of(R"({"decode": {"microbatchs": 2}})"), HasSubstr("microbatches"));
}

}  // namespace
}  // namespace cmsim::model
