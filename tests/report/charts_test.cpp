// What is made of the files of a run: distributions, samples, averaged intervals.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "src/report/requests.hpp"
#include "src/report/series.hpp"
#include "tests/report/results.hpp"

namespace cmsim::report {
namespace {

using Json = nlohmann::ordered_json;

Json requests_of(const Json& window) { return requests_json(kRequests, "requests.csv", window); }

TEST(Requests, TheCohortOfTheWindowHasThoseThatWereSentInIt) {
  const Json requests = requests_of(small_result()["window"]);  // from 1 s, before 5 s
  // The second was under way at the start and belongs to the whole run's TPOT alone.
  EXPECT_EQ(requests["window"]["ttft_ms"]["count"], 1);
  EXPECT_EQ(requests["window"]["ttft_ms"]["quantiles"].front(), 300);
  EXPECT_EQ(requests["whole_run"]["ttft_ms"]["count"], 3);
  EXPECT_EQ(requests["whole_run"]["tpot_ms"]["count"], 4);
}

TEST(Requests, WithoutACohortEveryRequestThatWasSentCounts) {
  Json window = small_result()["window"];
  window["from_s"] = 0;
  window["cohort_to_s"] = nullptr;
  EXPECT_EQ(requests_of(window)["window"]["ttft_ms"]["count"], 3);
}

TEST(Requests, QuantilesInterpolateBetweenRanks) {
  const Json requests = requests_of(small_result()["window"]);
  const Json &shares = requests["shares"], &ttft = requests["whole_run"]["ttft_ms"]["quantiles"];
  ASSERT_EQ(shares[50], 0.25);
  EXPECT_EQ(ttft[50], 150);   // of 100, 200, 300: rank 0.5
  EXPECT_EQ(ttft[100], 200);  // the median
  EXPECT_EQ(ttft.back(), 300);
}

TEST(Requests, MeanGapsAreOfTheIterationsAfterTheFirst) {
  // 600 ms in 6 - 1 iterations
  EXPECT_EQ(requests_of(small_result()["window"])["window"]["itl_ms"]["quantiles"][0], 120);
}

TEST(Requests, TokensOfARankAreThoseMadeInTheRun) {
  const Json ranks = requests_of(small_result()["window"])["ranks"];
  ASSERT_EQ(ranks.size(), 1u);
  EXPECT_EQ(ranks[0]["tokens"], Json({22, 11, 11}));  // 11 + 11; 21 - 10; 11
}

TEST(Requests, WhatIsLeftOutOfALargeRunIsCounted) {
  std::string csv = kRequests.substr(0, kRequests.find('\n') + 1);
  for (int i = 0; i < 100'000; ++i) {
    csv += fmt::format("{},100,11,0,0,0,6,{}.0,0.5,0.1,0.05,0.6,1,0,0,0,\n", i, i);
  }
  const Json requests = requests_json(csv, "requests.csv", small_result()["window"]);
  EXPECT_EQ(requests["rows"], 100'000);
  EXPECT_EQ(requests["sample"]["of"], 100'000);
  EXPECT_EQ(requests["sample"]["every"], 25);
  EXPECT_EQ(requests["sample"]["sent_s"].size(), 4'000u);
  EXPECT_EQ(requests["whole_run"]["ttft_ms"]["count"], 100'000);
  EXPECT_LT(requests.dump().size(), 1'000'000u);
}

TEST(Requests, TurnsAndInstancesHaveTheirOwnFigures) {
  const Json requests = requests_of(small_result()["window"]);
  // The first turns are of the requests 0 and 3, of 100 and 200 ms; request 1 was under way.
  ASSERT_EQ(requests["turns"].size(), 2u);
  EXPECT_EQ(requests["turns"][0]["count"], 2);
  EXPECT_EQ(requests["turns"][0]["ttft_ms"]["mean"], 150);
  EXPECT_EQ(requests["turns"][1]["cached_tokens"], 50);
  EXPECT_EQ(requests["turns"][1]["ssd_tokens"], 20);
  ASSERT_EQ(requests["prefill_instances"].size(), 2u);
  EXPECT_EQ(requests["prefill_instances"][0]["slo_met"], 1);  // of two
  EXPECT_EQ(requests["prefill_instances"][1]["ttft_ms"]["p99"], 200);
}

TEST(Series, NeighbouringIntervalsAreAveraged) {
  std::string csv = "from_s,sent,batch\n";
  for (int i = 0; i < 3'000; ++i) csv += fmt::format("{},{},{}\n", i * 0.5, i, i % 2 ? "" : "8");
  const Json series = series_json(csv, "timeseries.csv");
  EXPECT_EQ(series["intervals"], 3'000);
  EXPECT_EQ(series["every"], 2);
  EXPECT_EQ(series["interval_s"], 0.5);
  EXPECT_EQ(series["columns"]["from_s"][1], 1);
  EXPECT_EQ(series["columns"]["sent"][1], 2.5);
  EXPECT_EQ(series["columns"]["batch"][1], 8);  // an empty cell is a mean over nothing
}

TEST(Series, AnIntervalWithoutAValueStaysEmpty) {
  const Json series = series_json("from_s,batch\n0,\n1,4\n", "timeseries.csv");
  EXPECT_EQ(series["columns"]["batch"], Json({nullptr, 4}));
}

}  // namespace
}  // namespace cmsim::report
