#include "cmsim/metrics/service.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

SystemFacts two_classes() {
  SystemFacts facts;
  facts.deployment.prefill.instances = 2;
  facts.deployment.decode = {1, 1, 2, 8};  // one instance of 2 dies
  facts.slo = {"", 1, 1};
  facts.classes = {{"slow", 0, {5, 1}}, {"fast", 1, {3, 1}}};
  return facts;
}

serve::RequestRecord of_class(serve::RequestRecord record, std::int32_t number) {
  record.request_class = number;
  return record;
}

TEST(Service, ByClassWithItsOwnLimits) {
  // A TTFT of 4 s is within 5 s, not within 3 s.
  const std::vector records{of_class(finished(0, 0, 11, 1), 0), of_class(finished(1, 0, 11, 1), 1),
                            of_class(rejected(2, 0), 0), of_class(left_waiting(3, 0), 0)};
  const ServiceResult service = service_of(records, two_classes(), {});
  ASSERT_EQ(service.classes.size(), 2u);
  const GroupResult& slow = service.classes[0];
  EXPECT_EQ(slow.name, "slow");
  EXPECT_EQ(slow.requests, 2);  // one of them has not ended
  EXPECT_EQ(slow.finished, 1);
  EXPECT_EQ(slow.rejected, 1);
  EXPECT_DOUBLE_EQ(slow.share_slo, 0.5);
  EXPECT_DOUBLE_EQ(service.classes[1].share_slo, 0);
  EXPECT_DOUBLE_EQ(service.classes[1].ttft_ms.mean, 4000);
  // Queue 1 s, transfer queue 0.25 s, decode queue 0.0625 s; no batch wait.
  EXPECT_DOUBLE_EQ(service.classes[1].longest_wait.value(), 1.3125);
}

TEST(Service, ByLengthOfThePrompt) {
  std::vector records{finished(0, 0, 11, 1), finished(1, 0, 11, 1), finished(2, 0, 11, 1)};
  records[1].prompt_tokens = 1025;
  records[2].prompt_tokens = 70000;
  const ServiceResult service = service_of(records, two_classes(), {});
  ASSERT_EQ(service.prompt_lengths.size(), 3u);
  EXPECT_EQ(service.prompt_lengths[0].name, "to 1024");
  EXPECT_EQ(service.prompt_lengths[1].name, "to 4096");
  EXPECT_EQ(service.prompt_lengths[2].name, "above 65536");
}

TEST(Service, JainsIndexAndImbalance) {
  // 10 tokens in 5 s and 40 in 8 s: 2 and 5 tokens/s. (2 + 5)^2 / (2 x (4 + 25)) = 49 / 58.
  std::vector records{finished(0, 0, 10, 1), finished(1, 0, 40, 4)};
  records[1].cached_tokens = 40;
  records[1].decode_rank = 1;
  const ServiceResult service = service_of(records, two_classes(), {});
  EXPECT_DOUBLE_EQ(service.jain_index, 49.0 / 58);
  EXPECT_DOUBLE_EQ(service.imbalance.prefill_instances, 2);  // 160 of 160 tokens on one of two
  EXPECT_DOUBLE_EQ(service.imbalance.decode_instances, 1);
  EXPECT_DOUBLE_EQ(service.imbalance.decode_ranks, 40 / 25.0);  // 10 and 40
  const ServiceResult none = service_of({}, two_classes(), {});
  EXPECT_TRUE(std::isnan(none.jain_index));
  EXPECT_TRUE(std::isnan(none.imbalance.decode_ranks));
  EXPECT_FALSE(none.longest_wait);
}

}  // namespace
}  // namespace cmsim::metrics
