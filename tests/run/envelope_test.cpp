// What lies outside of the envelope of validated runs.
#include "cmsim/run/envelope.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cmsim::run {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A run in the middle of it: 96 sequences an NPU with 4,200 tokens each, prompts of 4,096.
struct Inside {
  Scenario scenario;
  metrics::Result result;
  Inside() {
    scenario.device = built_in_envelope().device;
    metrics::RoleResult decode, prefill;
    decode.instances = 2;
    decode.npus = 320;
    decode.mean_sequences = 96 * 160;
    decode.mean_context = 96 * 160 * 4200.0;
    result.measured.decode = decode;
    result.measured.prefill = prefill;
    result.requests.finished = 3;
    result.total_input_tokens = 3 * 4096;
  }
  std::vector<std::string> outside() const {
    std::vector<std::string> found;
    for (const auto& e : extrapolations(built_in_envelope(), scenario, result)) {
      found.push_back(e.what);
    }
    return found;
  }
};

TEST(Envelope, SaysNothingOfWhatLiesInside) { EXPECT_THAT(Inside().outside(), IsEmpty()); }

TEST(Envelope, NamesEachThatLiesOutside) {
  Inside run;
  run.scenario.device = "h100";
  run.scenario.deployment.decode.ep = 256;
  run.scenario.deployment.prefill.ep = 64;
  run.result.measured.decode->mean_sequences = 150 * 160;
  run.result.measured.decode->mean_context = 150 * 160 * 9000.0;
  run.result.total_input_tokens = 3 * 1000;
  EXPECT_THAT(run.outside(), ElementsAre("device", "decode/batch_per_npu", "decode/context_tokens",
                                         "decode/ep", "prefill/ep", "prefill/prompt_tokens"));
  const auto found = extrapolations(built_in_envelope(), run.scenario, run.result);
  EXPECT_EQ(found[0].name, "h100");
  EXPECT_EQ(found[1].value, 150);
  EXPECT_EQ(found[1].most, 128);
}

TEST(Envelope, ToleratesSlotsThatAreNotFullInEveryStep) {
  Inside run;
  run.result.measured.decode->mean_sequences = 3.93 * 160;  // of 4, 2 % are 3.92
  run.result.measured.decode->mean_context = 3.93 * 160 * 4200;
  EXPECT_THAT(run.outside(), IsEmpty());
  run.result.measured.decode->mean_sequences = 3.9 * 160;
  EXPECT_THAT(run.outside(), ElementsAre("decode/batch_per_npu"));
}

TEST(Envelope, KnowsOnlyTheRolesThatRun) {
  Inside run;
  run.scenario.deployment.decode.ep = 8;
  run.result.measured.decode.reset();
  EXPECT_THAT(run.outside(), IsEmpty());
  run.result.requests.finished = 0;  // no mean prompt
  run.result.total_input_tokens = 0;
  EXPECT_THAT(run.outside(), IsEmpty());
}

TEST(Envelope, IsReadLikeAnyFile) {
  const auto read = [](const char* batch) {
    const std::string text =
        std::string(R"({"device": "d", "tolerance": 0, "decode": {"batch_per_npu": )") + batch +
        R"(, "context_tokens": [1, 2], "ep": [1, 2]},
        "prefill": {"ep": [1, 2], "prompt_tokens": [1, 2]}})";
    return read_envelope(ConfigDocument::from_text(text, "e.json"));
  };
  EXPECT_EQ(read("[4, 128]").decode_batch.most, 128);
  EXPECT_THROW(read("[128, 4]"), ConfigError);
  EXPECT_THROW(read("4"), ConfigError);
}

}  // namespace
}  // namespace cmsim::run
