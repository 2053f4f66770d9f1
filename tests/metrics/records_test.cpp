#include "cmsim/metrics/records.hpp"

#include <gtest/gtest.h>

#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

std::vector<std::int64_t> ids_of(const Records& records) {
  std::vector<std::int64_t> ids;
  for (const serve::RequestRecord& record : records) ids.push_back(record.id);
  return ids;
}

void expect_same(const serve::RequestRecord& a, const serve::RequestRecord& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.output_tokens, b.output_tokens);
  EXPECT_EQ(a.arrival, b.arrival);
  EXPECT_EQ(a.sent, b.sent);
  EXPECT_EQ(a.cache_read_end, b.cache_read_end);
  EXPECT_EQ(a.finished, b.finished);
  EXPECT_EQ(a.decode_rank, b.decode_rank);
  EXPECT_EQ(a.session, b.session);
  EXPECT_EQ(a.outcome, b.outcome);
  EXPECT_EQ(a.reason, b.reason);
}

// More than a block of them, in which columns stop being alike one after the other.
TEST(Records, ComeBackAsTheyWere) {
  std::vector<serve::RequestRecord> given;
  for (int i = 0; i < 100; ++i) {
    given.push_back(i == 40 ? rejected(i, i) : i == 70 ? left_waiting(i, i) : finished(i, i, 9, 2));
    if (i == 50) given.back().arrival = 3;
    if (i == 99) given.back().session = 7;
  }
  const Records kept = given;
  ASSERT_EQ(kept.size(), given.size());
  std::size_t i = 0;
  for (const serve::RequestRecord& record : kept) expect_same(record, given[i++]);
  expect_same(kept[50], given[50]);
  expect_same(kept[99], given[99]);
  EXPECT_EQ(kept.get<&serve::RequestRecord::finished>(40), given[40].finished);
  EXPECT_TRUE(Records().begin() == Records().end());
}

TEST(Records, AreSortedByTheirIds) {
  Records whole{finished(2, 5, 1, 0), finished(0, 6, 1, 0), finished(1, 7, 1, 0)};
  whole.sort_by_id();
  EXPECT_EQ(ids_of(whole), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(whole[2].sent, 5);
  EXPECT_EQ(whole[2].arrival, 5);
  Records part{finished(9, 1, 1, 0), finished(4, 2, 1, 0)};
  part.sort_by_id();
  EXPECT_EQ(ids_of(part), (std::vector<std::int64_t>{4, 9}));
}

}  // namespace
}  // namespace cmsim::metrics
