#include "cmsim/metrics/run_trace.hpp"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "tests/metrics/nesting.hpp"

namespace cmsim::metrics {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;

/// Sent when it arrived, prefilled for 1 s after a wait of 0.5 s, decoded until `finished`.
serve::RequestRecord request(std::int64_t id, Seconds arrival, Seconds finished) {
  serve::RequestRecord record;
  record.id = id;
  record.arrival = record.sent = arrival;
  record.prefill_start = arrival + 0.5;
  record.prefill_end = arrival + 1.5;
  record.decode_start = arrival + 1.5;
  record.first_token = arrival + 1.6;
  record.finished = finished;
  record.outcome = serve::Outcome::kFinished;
  return record;
}

std::vector<json> events_of(const RunTrace& trace, const std::string& phase) {
  const json all = json::parse(trace.text());
  EXPECT_EQ(first_misfit(all), "");
  std::vector<json> found;
  for (const json& event : all.at("traceEvents")) {
    if (event.at("ph") == phase) found.push_back(event);
  }
  return found;
}

/// Names of the slices, in order.
std::vector<std::string> slices_of(const RunTrace& trace) {
  std::vector<std::string> names;
  for (const json& event : events_of(trace, "X")) names.push_back(event.at("name"));
  return names;
}

TEST(RunTrace, ARequestHoldsItsPhases) {
  RunTrace trace({});
  trace.on_request_end(request(7, 1, 4));
  EXPECT_THAT(slices_of(trace),
              ElementsAre("request 7", "prefill_queue", "prefill", "first_iteration", "decode"));
  const auto slices = events_of(trace, "X");
  EXPECT_EQ(slices[0]["ts"], 1e6);
  EXPECT_EQ(slices[0]["dur"], 3e6);
  EXPECT_EQ(slices[2]["ts"], 1.5e6);
}

TEST(RunTrace, RequestsThatOverlapHaveRowsOfTheirOwnAndRowsAreUsedAgain) {
  RunTrace trace({});
  trace.on_request_end(request(0, 0, 3));
  trace.on_request_end(request(2, 3, 6));
  trace.on_request_end(request(1, 1, 9));
  std::map<std::string, int> rows;
  for (const json& event : events_of(trace, "X")) rows[event["name"]] = event["tid"];
  EXPECT_EQ(rows["request 0"], 1);
  EXPECT_EQ(rows["request 1"], 2);
  EXPECT_EQ(rows["request 2"], 1);
}

TEST(RunTrace, OneInEveryNRequestsAndTransfersIsKept) {
  RunTrace trace({.every = 3, .faults = {}});
  for (int i = 0; i < 7; ++i) {
    trace.on_request_end(request(i, i, i + 2));
    trace.on_transfer({.start = i + 0.0, .end = i + 0.5, .bytes = i});
    trace.on_decode_step({.start = i + 0.0, .end = i + 1.0, .sequences = i});
  }
  int requests = 0, transfers = 0, steps = 0;
  for (const std::string& name : slices_of(trace)) {
    requests += name.starts_with("request ");
    transfers += name == "kv_pull";
    steps += name == "step";
  }
  EXPECT_EQ(requests, 3);  // 0, 3, 6
  EXPECT_EQ(transfers, 3);
  EXPECT_EQ(steps, 7);
}

TEST(RunTrace, AWindowKeepsWhatHasAPartInIt) {
  RunTrace trace({.from = 2, .to = 4, .faults = {}});
  for (int i = 0; i < 7; ++i) {
    trace.on_prefill_batch({.start = i + 0.0, .end = i + 0.5, .instance = 1});
  }
  std::vector<double> begins;
  for (const json& event : events_of(trace, "X")) begins.push_back(event["ts"]);
  EXPECT_THAT(begins, ElementsAre(2e6, 3e6, 4e6));
}

TEST(RunTrace, WhatHasNoLengthIsAnInstant) {
  RunTrace trace({.faults = {"plane:3"}});
  serve::RequestRecord rejected;
  rejected.arrival = rejected.sent = rejected.finished = 2;
  rejected.outcome = serve::Outcome::kRejected;
  trace.on_request_end(rejected);
  const auto instants = events_of(trace, "i");
  ASSERT_EQ(instants.size(), 2u);
  EXPECT_EQ(instants[0]["name"], "plane:3");
  EXPECT_EQ(instants[0]["s"], "g");  // over all threads
  EXPECT_EQ(instants[1]["args"]["outcome"], "rejected");
}

TEST(RunTrace, ARequestThatIsCutOffLastsUntilTheEnd) {
  RunTrace trace({});
  trace.on_decode_step({.start = 0, .end = 5});
  serve::RequestRecord cut = request(0, 1, -1);
  cut.outcome = serve::Outcome::kUnfinished;
  trace.on_request_end(cut);
  EXPECT_EQ(events_of(trace, "X").front()["dur"], 4e6);
}

}  // namespace
}  // namespace cmsim::metrics
