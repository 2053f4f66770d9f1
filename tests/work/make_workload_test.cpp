#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "cmsim/work/workload.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Seconds> arrivals_of(const Trace& trace) {
  std::vector<Seconds> arrivals;
  for (const TraceRow& row : trace.rows) arrivals.push_back(row.arrival);
  return arrivals;
}

class MakeWorkload : public testing::Test {
 protected:
  MakeWorkload() {
    // Two batches of two at 3 s and 9 s, then one request at 12 s.
    std::ofstream out(path_);
    for (const int ms : {3000, 3000, 9000, 9000, 12000}) {
      out << R"({"timestamp": )" << ms
          << R"(, "input_length": 600, "output_length": 7, "hash_ids": [0, )" << ms << "]}\n";
    }
    spec_.trace = path_.string();
  }
  ~MakeWorkload() override { std::filesystem::remove(path_); }

  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) /
                                ("cmsim_workload." + std::to_string(getpid()) + ".jsonl");
  WorkloadSpec spec_;
};

TEST_F(MakeWorkload, ClassesAreDrawnByTheirShares) {
  WorkloadSpec spec;
  spec.requests = 10000;
  spec.prompt_length = spec.output_length = 9;
  spec.arrivals.kind = ArrivalKind::kAllAtOnce;
  spec.classes = {{"a", 0.2}, {"b", 0.8}};
  const Trace trace = make_workload(spec, 1);
  EXPECT_THAT(trace.classes, ElementsAre("a", "b"));
  const auto of_b = std::ranges::count(trace.rows, 1, &TraceRow::request_class);
  EXPECT_NEAR(of_b, 8000, 5 * 40);  // sqrt(10,000 x 0.2 x 0.8) = 40
}

TEST_F(MakeWorkload, ClassesWithoutSharesAreThoseOfTheTrace) {
  spec_.classes = {{"a"}, {"b"}};
  EXPECT_THAT(error_of([&] { make_workload(spec_, 1); }),
              HasSubstr("/workload/classes: have no shares, and "));
  std::ofstream(path_)
      << R"({"chat_id": 1, "timestamp": 1, "input_length": 16, "output_length": 1,)"
      << R"( "hash_ids": [4], "type": "b"})"
      << "\n";
  const Trace trace = make_workload(spec_, 1);
  EXPECT_THAT(trace.classes, ElementsAre("a", "b"));
  EXPECT_EQ(trace.rows[0].request_class, 1);
  spec_.classes = {{"a"}};
  EXPECT_THAT(error_of([&] { make_workload(spec_, 1); }),
              HasSubstr("has requests of class \"b\", given are \"a\""));
}

TEST_F(MakeWorkload, KeepsTheTraceByDefault) {
  EXPECT_THAT(arrivals_of(make_workload(spec_, 1)), ElementsAre(3, 3, 9, 9, 12));
}

TEST_F(MakeWorkload, CutsThenScales) {
  spec_.start = 3;
  spec_.end = 12;
  spec_.time_scale = 2;
  // (3 - 3) / 2, (9 - 3) / 2; the row at 12 s is outside [3, 12).
  EXPECT_THAT(arrivals_of(make_workload(spec_, 1)), ElementsAre(0, 0, 3, 3));
}

TEST_F(MakeWorkload, StretchesATraceToARate) {
  // 5 requests from 3 to 12 s are (5 - 1) / 9 s; 2 requests/s are 4.5 times as many.
  spec_.arrivals.rate = 2;
  EXPECT_THAT(arrivals_of(make_workload(spec_, 1)),
              ElementsAre(3 / 4.5, 3 / 4.5, 9 / 4.5, 9 / 4.5, 12 / 4.5));
  spec_.time_scale = 2;  // on top
  EXPECT_THAT(arrivals_of(make_workload(spec_, 1)),
              ElementsAre(3 / 9., 3 / 9., 9 / 9., 9 / 9., 12 / 9.));
  spec_.max_requests = 2;  // both at 3 s
  EXPECT_THAT(error_of([&] { make_workload(spec_, 1); }),
              HasSubstr("/workload/arrivals/rate: the requests of the trace all arrive at once"));
}

TEST_F(MakeWorkload, TakesTheFirstRequestsAndTheirBlocks) {
  spec_.max_requests = 3;
  const Trace trace = make_workload(spec_, 1);
  EXPECT_THAT(arrivals_of(trace), ElementsAre(3, 3, 9));
  EXPECT_EQ(trace.block_ids.size(), 6u);
  EXPECT_THAT(trace.blocks(2), ElementsAre(0, 9000));
}

TEST_F(MakeWorkload, SpreadsSharedStampsOverTheTimeToTheNext) {
  spec_.spread_timestamps = true;
  // 3 + (9 - 3) / 2 = 6 and 9 + (12 - 9) / 2 = 10.5; the last stamp is not shared.
  EXPECT_THAT(arrivals_of(make_workload(spec_, 1)), ElementsAre(3, 6, 9, 10.5, 12));
}

TEST_F(MakeWorkload, ReplacesArrivalsButNotRequests) {
  spec_.arrivals = {.kind = ArrivalKind::kConstant, .rate = 4};
  const Trace constant = make_workload(spec_, 1);
  EXPECT_THAT(arrivals_of(constant), ElementsAre(0, 0.25, 0.5, 0.75, 1));
  EXPECT_THAT(constant.blocks(4), ElementsAre(0, 12000));
  spec_.arrivals = {.kind = ArrivalKind::kAllAtOnce};
  EXPECT_THAT(arrivals_of(make_workload(spec_, 1)), ElementsAre(0, 0, 0, 0, 0));
  spec_.arrivals = {.kind = ArrivalKind::kClosedLoop, .concurrency = 2};
  EXPECT_THAT(arrivals_of(make_workload(spec_, 1)), ElementsAre(0, 0, 0, 0, 0));
}

TEST_F(MakeWorkload, RefusesContradictions) {
  const auto error_with = [&](auto change) {
    WorkloadSpec spec = spec_;
    change(spec);
    return error_of([&] { make_workload(spec, 1); });
  };
  EXPECT_THAT(error_with([](auto& s) { s.prompt_length = 5; }), HasSubstr("/workload/trace"));
  EXPECT_THAT(error_with([](auto& s) { s.start = 20; }), HasSubstr("has no request between start"));
  EXPECT_THAT(error_with([](auto& s) { s.start = s.end = 5; }), HasSubstr("/workload/end"));
  EXPECT_THAT(error_with([](auto& s) { s.time_scale = 0; }), HasSubstr("/workload/time_scale"));
  EXPECT_THAT(error_with([](auto& s) {
                s.arrivals = {.kind = ArrivalKind::kPoisson, .rate = 1};
                s.time_scale = 2;
              }),
              HasSubstr("/workload/time_scale: has no effect with arrivals of kind poisson"));
  EXPECT_THAT(error_with([](auto& s) { s.arrivals = {.kind = ArrivalKind::kPoisson, .rate = 0}; }),
              HasSubstr("/workload/arrivals/rate"));
  EXPECT_THAT(error_with([](auto& s) { s.arrivals = {.kind = ArrivalKind::kClosedLoop}; }),
              HasSubstr("/workload/arrivals/concurrency"));
  EXPECT_THAT(error_with([](auto& s) { s.trace = ""; }), HasSubstr("/workload/requests"));
}

TEST_F(MakeWorkload, StopsReadingWhenItHasWhatWasAskedFor) {
  std::ofstream(path_, std::ios::app) << "no JSON\n";
  EXPECT_THAT(error_of([&] { make_workload(spec_, 1); }), HasSubstr(path_.string() + ":6"));
  spec_.max_requests = 5;
  EXPECT_EQ(make_workload(spec_, 1).rows.size(), 5u);
  spec_.max_requests = INT64_MAX;
  spec_.end = 10;  // the row at 12 s tells that no more can come
  EXPECT_EQ(make_workload(spec_, 1).rows.size(), 4u);
}

TEST_F(MakeWorkload, RefusesArrivalsBeyondWhatADoubleResolves) {
  const auto error_of_stamp = [&](const char* ms) {
    std::ofstream(path_) << R"({"timestamp": 3000, "input_length": 6, "output_length": 7})" << '\n'
                         << R"({"timestamp": )" << ms
                         << R"(, "input_length": 6, "output_length": 7})";
    return error_of([&] { make_workload(spec_, 1); });
  };
  EXPECT_EQ(error_of_stamp("1e10"), "no error");  // 1e7 s, the latest
  spec_.time_scale = 0.5;                         // 2e7 s
  EXPECT_THAT(error_of_stamp("1e10"), HasSubstr("/workload/time_scale: found 0.5: the last request "
                                                "arrives at 20000000 s, allowed is 1e+07 s"));
  spec_.time_scale = 1e-6;
  EXPECT_THAT(error_of_stamp("1e13"), HasSubstr("/workload/end"));  // 1e10 s in the file already
  spec_.time_scale = 1;
  EXPECT_THAT(error_of_stamp("1e11"), HasSubstr("/workload/end"));  // 3 s to 1e8 s
  // A trace of one day with the dates of 2024: it says where to start.
  std::ofstream(path_) << R"({"timestamp": 1712345678900, "input_length": 6, "output_length": 7})"
                       << '\n'
                       << R"({"timestamp": 1712432078900, "input_length": 6, "output_length": 7})";
  EXPECT_THAT(
      error_of([&] { make_workload(spec_, 1); }),
      HasSubstr("/workload/start: the last request arrives at 1.71243208e+09 s, allowed is "
                "1e+07 s (beyond it a double does not hold the times of steps): time counts "
                "from here, and the first arrives at 1712345678 s of the trace"));
  spec_.start = 1712345678;
  EXPECT_THAT(arrivals_of(make_workload(spec_, 1)),
              ElementsAre(testing::DoubleNear(0.9, 1e-6), testing::DoubleNear(86400.9, 1e-6)));
}

TEST_F(MakeWorkload, RefusesABlockSizeForATraceWithoutBlocks) {
  std::ofstream(path_) << R"({"timestamp": 1, "input_length": 5, "output_length": 6})";
  spec_.block_size = 16;
  EXPECT_THAT(error_of([&] { make_workload(spec_, 1); }),
              HasSubstr("/workload/block_size: has no effect"));
}

TEST_F(MakeWorkload, NeedsArrivalsForLengthsOnly) {
  std::ofstream(path_) << "num_prefill_tokens,num_decode_tokens\n5,6\n";
  EXPECT_THAT(error_of([&] { make_workload(spec_, 1); }),
              HasSubstr("/workload/arrivals/kind: is trace, but the trace has lengths only"));
  spec_.arrivals.kind = ArrivalKind::kAllAtOnce;
  EXPECT_TRUE(make_workload(spec_, 1).has_arrivals);
}

WorkloadSpec fixed_lengths(ArrivalSpec arrivals, std::int64_t requests) {
  WorkloadSpec spec;
  spec.arrivals = arrivals;
  spec.requests = requests;
  spec.prompt_length = 4096;
  spec.output_length = 128;
  return spec;
}

TEST(FixedLengths, AreWhatWasAskedFor) {
  const Trace trace = make_workload(fixed_lengths({.kind = ArrivalKind::kAllAtOnce}, 10), 1);
  ASSERT_EQ(trace.rows.size(), 10u);
  EXPECT_EQ(trace.rows[9].prompt_tokens, 4096);
  EXPECT_EQ(trace.rows[9].output_tokens, 128);
  EXPECT_THAT(error_of([] { make_workload(fixed_lengths({}, 10), 1); }),
              HasSubstr("/workload/arrivals/kind: is trace, but there is no trace"));
  EXPECT_THAT(error_of([] {
                make_workload(fixed_lengths({.kind = ArrivalKind::kAllAtOnce}, INT32_MAX), 1);
              }),
              HasSubstr("/workload/requests: found 2147483647, without a trace 1 to 50000000"));
  // The second request arrives at 1 / 1e-6 = 1e6 s, the twelfth at 1.1e7 s.
  EXPECT_THAT(error_of([] {
                make_workload(fixed_lengths({.kind = ArrivalKind::kConstant, .rate = 1e-6}, 12), 1);
              }),
              HasSubstr("/workload/arrivals/rate: the last request arrives at 11000000 s"));
}

TEST(Arrivals, HaveTheRateAndBurstinessAskedFor) {
  constexpr std::int64_t kRequests = 100001;
  for (const ArrivalSpec& arrivals :
       {ArrivalSpec{.kind = ArrivalKind::kPoisson, .rate = 50},
        ArrivalSpec{.kind = ArrivalKind::kGamma, .rate = 50, .burstiness = 0.25},
        ArrivalSpec{.kind = ArrivalKind::kGamma, .rate = 50, .burstiness = 4}}) {
    const auto times = arrivals_of(make_workload(fixed_lengths(arrivals, kRequests), 1));
    const double mean = times.back() / (kRequests - 1);
    double squares = 0;
    for (std::size_t i = 1; i < times.size(); ++i) squares += std::pow(times[i] - times[i - 1], 2);
    const double cv = std::sqrt(squares / (kRequests - 1) / (mean * mean) - 1);
    // Five standard errors of a mean of 100,000 gaps: 5 cv / sqrt(100000) = 1.6 % cv.
    const double expected_cv = 1 / std::sqrt(arrivals.burstiness);
    EXPECT_NEAR(mean * 50, 1, 0.016 * expected_cv);
    EXPECT_NEAR(cv / expected_cv, 1, 0.05);
  }
}

TEST(Arrivals, FollowTheSeed) {
  const auto spec = fixed_lengths({.kind = ArrivalKind::kPoisson, .rate = 1}, 5);
  EXPECT_EQ(arrivals_of(make_workload(spec, 1)), arrivals_of(make_workload(spec, 1)));
  EXPECT_NE(arrivals_of(make_workload(spec, 1)), arrivals_of(make_workload(spec, 2)));
}

WorkloadSpec spec_of(const std::string& json) {
  const auto document = ConfigDocument::from_text(json, "s.json");
  return read_workload(ConfigNode(document));
}

TEST(ReadWorkload, ReadsEveryKey) {
  const WorkloadSpec spec = spec_of(R"({
    "trace": "../traces/t.jsonl", "format": "mooncake", "block_size": 256, "time_scale": 4,
    "start": "1min", "end": "2min", "max_requests": 7, "spread_timestamps": true,
    "arrivals": {"kind": "trace"}, "max_bytes": "3GB", "role": "decode"})");
  EXPECT_EQ(spec.trace, "../traces/t.jsonl");  // where that is, the scenario knows
  EXPECT_EQ(spec.block_size, 256);
  EXPECT_EQ(spec.start, 60);
  EXPECT_EQ(spec.end, 120);
  EXPECT_EQ(spec.max_requests, 7);
  EXPECT_TRUE(spec.spread_timestamps);
  EXPECT_EQ(spec.time_scale, 4);
  EXPECT_EQ(spec.max_bytes, 3'000'000'000);
  EXPECT_EQ(spec_of(R"({"arrivals": {"kind": "poisson", "rate": "90/min"}})").arrivals.rate, 1.5);
  const WorkloadSpec generated = spec_of(R"({
    "requests": 5, "prompt_length": 6, "output_length": 7,
    "arrivals": {"kind": "gamma", "rate": {"value": 3.5, "source": "x"}, "burstiness": 0.5}})");
  EXPECT_EQ(generated.requests, 5);
  EXPECT_EQ(generated.prompt_length, 6);
  EXPECT_EQ(generated.output_length, 7);
  EXPECT_EQ(generated.arrivals.kind, ArrivalKind::kGamma);
  EXPECT_EQ(generated.arrivals.rate, 3.5);
  EXPECT_EQ(generated.arrivals.burstiness, 0.5);
  EXPECT_EQ(
      spec_of(R"({"arrivals": {"kind": "closed_loop", "concurrency": 8}})").arrivals.concurrency,
      8);
}

TEST(ReadWorkload, NamesWhatIsWrong) {
  const auto message = [](const std::string& json) { return error_of([&] { spec_of(json); }); };
  EXPECT_THAT(message(R"({"tracee": "x"})"), HasSubstr("did you mean \"trace\""));
  EXPECT_THAT(message(R"({"format": "moncake"})"), HasSubstr("did you mean \"mooncake\""));
  EXPECT_THAT(message(R"({"start": 5})"), HasSubstr("/start"));
  EXPECT_THAT(message(R"({"prompt_length": -5})"), HasSubstr("/prompt_length"));
  EXPECT_THAT(message(R"({"arrivals": {"kind": "poisson"}})"), HasSubstr("need a rate"));
  EXPECT_THAT(message(R"({"arrivals": {"kind": "poisson", "rate": 1e-15}})"),
              HasSubstr("/arrivals/rate: found 1e-15, allowed is 1e-06 to 1000000"));
  EXPECT_THAT(message(R"({"requests": 2147483647})"),
              HasSubstr("/requests: found 2147483647, allowed is 1 to 5"));
  EXPECT_THAT(
      message(R"({"arrivals": {"kind": "closed_loop", "concurrency": 4611686018427387904}})"),
      HasSubstr("/arrivals/concurrency: found 4611686018427387904"));
}

}  // namespace
}  // namespace cmsim::work
