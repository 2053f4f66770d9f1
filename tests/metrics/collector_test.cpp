#include "cmsim/metrics/collector.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cmsim/metrics/requests_csv.hpp"
#include "tests/metrics/records.hpp"

namespace cmsim::metrics {
namespace {

const std::vector<serve::RequestClass> kClasses{{.name = "all", .limits = {5, 1}}};

SystemFacts facts() {
  SystemFacts facts;
  facts.deployment.prefill = {2, 4, 8, 1000};  // 2 instances x 4 NPUs, 4,000 tokens a batch
  facts.deployment.decode = {1, 5, 10, 8};     // 40 slots
  facts.dies_per_npu = 2;
  facts.hbm_bandwidth = 1e9;
  facts.decode_kv_per_die = 100;
  facts.cache_capacity_blocks = 50;
  facts.slo = {"test", 5, 1};
  return facts;
}

TEST(Collector, FiguresOfThePrefillRole) {
  Collector collector(facts());
  collector.on_request_sent(finished(0, 0, 3, 6));
  // Two batches of 3 s and 1 s on instance 0, one of 2 s on instance 1.
  collector.on_prefill_batch({0, 3, 0, 6, 4000, 500, 100, 10});
  collector.on_prefill_batch({3, 4, 0, 2, 1000, 0, 100, 10});
  collector.on_prefill_batch({0, 2, 1, 1, 1000, 0, 100, 10});
  collector.on_request_end(finished(0, 0, 3, 6));
  const Result r = collector.result(10, {});
  ASSERT_TRUE(r.whole_run.prefill);
  EXPECT_EQ(r.whole_run.prefill->npus, 8);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->utilisation, (3 + 1 + 2) / (2 * 10.0));
  EXPECT_EQ(r.whole_run.prefill->iterations, 3);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->iteration_ms.mean, 2000);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->mean_sequences, 3);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->mean_tokens, 2000);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->occupancy, 2000 / 4000.0);
  // 3 batches x 100 B x 8 dies, over 6 busy seconds of 8 dies
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->hbm.bytes, 2400);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->hbm.busy_bandwidth, 2400 / (6 * 8.0));
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->hbm.busy_utilisation, 50 / 1e9);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->hbm.utilisation, 50 / 1e9 * 0.3);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->ub_bytes, 240);
  EXPECT_DOUBLE_EQ(r.whole_run.prefill->tokens_per_second, 100 / 10.0);
}

TEST(Collector, FiguresOfTheDecodeRole) {
  Collector collector(facts());
  collector.on_request_sent(finished(0, 0, 3, 6));
  collector.on_decode_step({4, 5, 0, 10, 0, 15, 0, 100, 0});
  collector.on_decode_step({5, 7, 0, 20, 10, 30, 0, 100, 0});
  collector.on_queue({4, 2, 1, 3, 10, 500});
  collector.on_queue({6, 0, 0, 1, 20, 800});
  collector.on_request_end(finished(0, 0, 3, 6));
  const Result r = collector.result(10, {});
  ASSERT_TRUE(r.whole_run.decode);
  EXPECT_EQ(r.whole_run.decode->iterations, 2);
  EXPECT_DOUBLE_EQ(r.whole_run.decode->utilisation, 3 / 10.0);
  EXPECT_DOUBLE_EQ(r.whole_run.decode->iteration_ms.mean, 1500);
  EXPECT_DOUBLE_EQ(r.whole_run.decode->mean_tokens, 22.5);
  EXPECT_DOUBLE_EQ(r.whole_run.decode->tokens_per_second, 45 / 10.0);
  EXPECT_DOUBLE_EQ(r.whole_run.decode->occupancy, (1 * 10 + 2 * 20) / (10 * 40.0));
  EXPECT_DOUBLE_EQ(r.whole_run.itl_ms.mean, 2000);  // 10 sequences waited 7 - 5 s
  EXPECT_EQ(r.whole_run.itl_ms.count, 10);
  EXPECT_EQ(r.whole_run.kv.capacity_tokens, 100 * 10);
  EXPECT_DOUBLE_EQ(r.whole_run.kv.mean_occupancy, (500 * 2 + 800 * 4) / 10.0 / 1000);
  EXPECT_DOUBLE_EQ(r.whole_run.kv.peak_occupancy, 0.8);
  EXPECT_EQ(r.whole_run.queues[0].name, "prefill_waiting");
  EXPECT_DOUBLE_EQ(r.whole_run.queues[0].mean, 2 * 2 / 10.0);
  EXPECT_EQ(r.whole_run.queues[2].max, 3);
}

TEST(Collector, CacheAndTransfers) {
  Collector collector(facts());
  collector.on_request_sent(finished(0, 0, 3, 6));
  collector.on_cache({.at = 0,
                      .lookup_blocks = 4,
                      .hit_blocks = 1,
                      .lookup_tokens = 1000,
                      .hit_tokens = 400,
                      .stored_blocks = 3});
  collector.on_cache({.at = 1,
                      .lookup_blocks = 6,
                      .hit_blocks = 4,
                      .lookup_tokens = 1000,
                      .hit_tokens = 500,
                      .stored_blocks = 2,
                      .evicted_blocks = 5});
  collector.on_transfer({0, 2, serve::TransferKind::kKvPull, 100});
  collector.on_transfer({0, 4, serve::TransferKind::kKvPull, 500});
  collector.on_request_end(finished(0, 0, 3, 6));
  const nlohmann::ordered_json json = to_json(collector.result(10, {}));
  EXPECT_DOUBLE_EQ(json["cache"]["hit_rate_by_block"], 0.5);
  EXPECT_DOUBLE_EQ(json["cache"]["hit_rate_by_token"], 0.45);
  EXPECT_EQ(json["cache"]["peak_blocks"], 3);
  EXPECT_DOUBLE_EQ(json["cache"]["occupancy"], 2 / 50.0);
  EXPECT_EQ(json["cache"]["evicted_blocks"], 5);
  EXPECT_TRUE(json["cache"]["imposed_reuse"].is_null());
  EXPECT_DOUBLE_EQ(json["whole_run"]["transfers"]["kv_pull"]["mean_ms"], 3000);
  EXPECT_DOUBLE_EQ(json["whole_run"]["transfers"]["kv_pull"]["mean_bandwidth"], 600 / 6.0);
}

TEST(Collector, AnUnfinishedRequestMakesTheResultPartial) {
  Collector collector(facts());
  collector.on_request_sent(left_waiting(0, 0));
  collector.on_request_end(left_waiting(0, 0));
  const Result r = collector.result(10, {});
  EXPECT_TRUE(r.partial);
  const nlohmann::ordered_json json = to_json(r);
  EXPECT_TRUE(json["mean_ttft_ms"].is_null());
  EXPECT_EQ(json["requests"]["by_reason"][to_string(serve::Reason::kInterrupted)], 1);
}

TEST(Collector, TheBenchmarkCountsFromFirstSendToLastFinish) {
  // A, sent at 0, ends at 5; B, sent at 2, ends at 10; the simulation goes on to 12. B is too slow.
  SystemFacts with_slo = facts();
  with_slo.slo = {"", 5, 0.16};
  Collector collector(with_slo);
  collector.on_request_sent(finished(0, 0, 11, 1));
  for (const auto& r : {finished(0, 0, 11, 1), finished(1, 2, 21, 4)}) collector.on_request_end(r);
  const Result r = collector.result(12, {});
  EXPECT_DOUBLE_EQ(r.duration, 10);
  EXPECT_DOUBLE_EQ(r.elapsed, 12);
  EXPECT_EQ(r.total_input_tokens, 200);
  EXPECT_EQ(r.total_output_tokens, 32);
  EXPECT_DOUBLE_EQ(r.request_throughput, 2 / 10.0);
  EXPECT_DOUBLE_EQ(r.request_goodput, 1 / 10.0);
  EXPECT_DOUBLE_EQ(r.output_throughput, 32 / 10.0);
  EXPECT_DOUBLE_EQ(r.total_token_throughput, 232 / 10.0);
}

TEST(Collector, CountsOutcomesAndReasons) {
  Collector collector(facts());
  collector.on_request_sent(rejected(1, 0));
  for (const auto& r : {finished(0, 0, 11, 1), rejected(1, 0), left_waiting(2, 0)}) {
    collector.on_request_end(r);
  }
  const Result r = collector.result(8, {});
  EXPECT_EQ(r.requests.total, 3);
  EXPECT_EQ(r.requests.finished, 1);
  EXPECT_EQ(r.requests.rejected, 1);
  EXPECT_EQ(r.requests.unfinished, 1);
  ASSERT_EQ(r.requests.not_finished.size(), 2u);  // one reason each
  EXPECT_DOUBLE_EQ(r.duration, 8);                // a partial run lasts until it was ended
}

TEST(ResultJson, DetailedListsOneGapListARequest) {
  Result r;
  serve::RequestRecord second = finished(1, 0, 2, 1);
  second.decode_instance = 1;
  r.records = {finished(0, 0, 3, 2), second};  // first tokens at 4, end at 6 and 5
  r.steps = {{3, 4, 0, 1, 0, 1},
             {3, 4, 1, 1, 0, 1},
             {4, 5, 0, 1, 1, 1},
             {4, 5, 1, 1, 1, 1},
             {5, 6, 0, 1, 1, 1}};
  const nlohmann::ordered_json json = to_json(r, Detail::kPerRequest);
  EXPECT_EQ(json["itls"].dump(), "[[1.0,1.0],[1.0]]");
  EXPECT_EQ(json["ttfts"].dump(), "[4.0,4.0]");
  EXPECT_EQ(json["input_lens"].dump(), "[100,100]");
  EXPECT_EQ(json["output_lens"].dump(), "[3,2]");
  EXPECT_FALSE(to_json(r).contains("ttfts"));
}

std::string csv_of(const Records& records) {
  RequestsCsv pieces(records, kClasses, serve::Role::kAll);
  std::string text;
  for (std::string_view piece = pieces.next(); !piece.empty(); piece = pieces.next()) {
    text += piece;
  }
  return text;
}

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> result;
  std::istringstream stream(line + ",");
  for (std::string cell; std::getline(stream, cell, ',');) result.push_back(cell);
  return result;
}

TEST(RequestsCsv, PhasesOfARowAddUpExactly) {
  // A third of a second in every time: rounding each phase on its own would lose microseconds.
  serve::RequestRecord r = finished(7, 1 / 3.0, 11, 1 / 3.0);
  std::istringstream csv(csv_of({r}));
  std::string header, row;
  std::getline(csv, header);
  std::getline(csv, row);
  EXPECT_EQ(header, requests_csv_header());
  const auto names = cells(header);
  const auto values = cells(row);
  ASSERT_EQ(names.size(), values.size());
  const auto at = [&](const std::string& name) {
    return values[std::find(names.begin(), names.end(), name) - names.begin()];
  };
  const auto microseconds = [](const std::string& text) {
    return std::llround(std::stod(text) * 1e6);
  };
  std::int64_t sum = 0;
  for (const std::string_view phase : kPhaseNames)
    sum += microseconds(at(std::string(phase) + "_s"));
  EXPECT_EQ(sum, microseconds(at("finished_s")) - microseconds(at("arrival_s")));
  EXPECT_EQ(at("id"), "7");
  EXPECT_EQ(at("outcome"), "finished");
  EXPECT_EQ(at("reason"), "");
  EXPECT_EQ(at("prefill_queue_s"), "1.000000");
  EXPECT_EQ(at("ttft_s"), "4.000000");
  EXPECT_EQ(at("tpot_s"), "0.033333");  // (1/3) / 10
  EXPECT_EQ(at("slo_met"), "1");
}

TEST(RequestsCsv, LeavesOutWhatDidNotHappen) {
  const auto csv = csv_of({left_waiting(0, 2)});
  const auto row = cells(csv.substr(csv.find('\n') + 1, csv.rfind('\n') - csv.find('\n') - 1));
  EXPECT_EQ(row[14], "2.000000");       // arrival
  EXPECT_EQ(row[16], "");               // finished
  EXPECT_EQ(row[row.size() - 6], "0");  // slo_met; of no session
  for (std::size_t i = row.size() - 5; i + 1 < row.size(); ++i) EXPECT_EQ(row[i], "") << i;
  EXPECT_EQ(row.back(), "0");  // swaps
}

TEST(RequestsCsv, WritesAnHourOfRequestsInATenthOfASecond) {
  std::vector<serve::RequestRecord> records;
  for (int i = 0; i < 58000; ++i) records.push_back(finished(i, i * 0.06173, 300, 17.123));
  const auto start = std::chrono::steady_clock::now();
  const std::string csv = csv_of(records);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  RecordProperty("milliseconds", static_cast<int>(took.count() * 1e3));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 58001);
  EXPECT_LT(took.count(), 2.0);  // 0.05 s measured; generous, for sanitizers and busy machines
}

// Of 2 s of steps 0.3 s go by for sharing links; of the second one, half is in the first 1.5 s.
TEST(Collector, ContentionIsAShareOfTheTimeOfIterations) {
  Collector collector(facts());
  collector.on_request_sent(rejected(0, 0));
  collector.on_request_end(rejected(0, 0));
  collector.on_decode_step(
      {.start = 0, .end = 1, .sequences = 1, .bytes_per_die = {}, .late = 0.2});
  collector.on_decode_step(
      {.start = 1, .end = 2, .sequences = 1, .bytes_per_die = {}, .late = 0.1});
  const Result whole = collector.result(2, {});
  EXPECT_DOUBLE_EQ(whole.whole_run.decode->contention, 0.3 / 2);
  const Figures part =
      figures_of({whole.records, whole.batches, whole.steps, Timeline()}, facts(), 0, 1.5);
  EXPECT_DOUBLE_EQ(part.decode->contention, 0.25 / 1.5);
}

TEST(Memory, ARequestAndAStepAreSmall) {
  EXPECT_LE(sizeof(serve::RequestRecord), 200u);
  EXPECT_LE(sizeof(Iteration), 88u);
}

TEST(Collector, TheRunBeginsWithTheFirstSendAndNotWithTheFirstQueue) {
  // Request 0 is refused as soon as it is sent, at 100 s; request 1 decodes from 110 to 111 s.
  Collector collector(facts());
  collector.on_request_sent(rejected(0, 100));
  collector.on_request_end(rejected(0, 100));
  collector.on_queue({.at = 110, .decode_running = 1, .decode_kv_reserved = 10});
  collector.on_queue({.at = 111});
  const Result r = collector.result(120, {});
  const auto running = std::ranges::find(r.whole_run.queues, "decode_running", &QueueResult::name);
  ASSERT_NE(running, r.whole_run.queues.end());
  EXPECT_DOUBLE_EQ(running->mean, 1 / 20.0);  // 1 s of the 20 from 100 on
  EXPECT_DOUBLE_EQ(r.whole_run.kv.mean_occupancy,
                   10 / 20.0 / static_cast<double>(r.whole_run.kv.capacity_tokens));
}

TEST(Collector, AMeanOverNothingIsNull) {
  Collector collector(facts());
  collector.on_request_sent(rejected(0, 1));
  collector.on_request_end(rejected(0, 1));
  const auto json = to_json(collector.result(1, {}));
  EXPECT_TRUE(json["window"]["decode_iteration_ms"].is_null());
  EXPECT_TRUE(json["cache"]["hit_rate_by_token"].is_null());
  for (const char* role : {"prefill", "decode"}) {
    for (const char* key : {"mean_sequences", "mean_tokens", "mean_context"}) {
      EXPECT_TRUE(json["window"][role][key].is_null()) << role << key;
    }
  }
  for (const char* key : {"mean_ms", "max_ms", "mean_bandwidth"}) {
    EXPECT_TRUE(json["whole_run"]["transfers"]["kv_pull"][key].is_null()) << key;
  }
}

}  // namespace
}  // namespace cmsim::metrics
