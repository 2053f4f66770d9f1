// What a file may hold is bounded before memory is: by bytes, by the length of a line, by requests.
#include <gmock/gmock.h>

#include <fstream>

#include "cmsim/work/trace_reader.hpp"
#include "src/work/servegen.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using test::gzipped;
using test::tar_of;
using test::zstd;
using testing::HasSubstr;

const std::string kHeader = "num_prefill_tokens,num_decode_tokens\n";  // 37 bytes

std::string rows(int count) {
  std::string text = kHeader;
  for (int i = 0; i < count; ++i) text += "5,6\n";
  return text;
}

TEST(MaxBytes, BoundsWhatAFileExpandsTo) {
  const std::string text = rows(100);  // 37 + 100 * 4 = 437 bytes
  for (const std::string& bytes : {text, gzipped(text), zstd(text)}) {
    EXPECT_EQ(parse_trace(bytes, "t", {.max_bytes = 437}).rows.size(), 100u);
    EXPECT_THAT(error_of([&] { parse_trace(bytes, "t", {.max_bytes = 436}); }),
                HasSubstr("holds more than 436 B"));
  }
  EXPECT_EQ(
      error_of([&] { parse_trace(gzipped(text), "t", {.max_bytes = 436}); }),
      "t: holds more than 436 B decompressed, the most that is read; raise max_bytes if it is "
      "right");
}

TEST(MaxBytes, StopsACompressedBombEarly) {
  // 100 MB in 100 KB: no more than one piece of 64 KiB is taken beyond the limit.
  const std::string bomb = gzipped(rows(25'000'000));
  ASSERT_LT(bomb.size(), 200'000u);
  EXPECT_THAT(error_of([&] { parse_trace(bomb, "t", {.max_bytes = 1'000'000}); }),
              HasSubstr("holds more than 1 MB decompressed"));
}

TEST(MaxBytes, BoundsAProfile) {
  const std::string windows = "0,2,1,,,\n";
  const std::string lengths = R"({"0": {"input_tokens": "{50: 1}", "output_tokens": "{5: 1}"}})";
  const std::string padded = lengths + std::string(1'000'000, ' ');
  const auto tar = [&](const std::string& dataset) {
    return tar_of({{"p/chunk-0-trace.csv", windows}, {"p/chunk-0-dataset.json", dataset}});
  };
  EXPECT_EQ(error_of([&] { parse_trace(tar(lengths), "p.tar", {.max_bytes = 10'000}); }),
            "no error");
  // A limit that each of the two files keeps, but not both together.
  const auto directory = std::filesystem::path(testing::TempDir()) / "cmsim_limits_test";
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "chunk-0-trace.csv") << windows;
  std::ofstream(directory / "chunk-0-dataset.json") << lengths;
  const auto directory_error = [&](Bytes most) {
    return error_of([&] { read_trace(directory, {.max_bytes = most}); });
  };
  EXPECT_EQ(directory_error(static_cast<Bytes>(windows.size() + lengths.size())), "no error");
  EXPECT_THAT(directory_error(static_cast<Bytes>(lengths.size() + 1)),
              HasSubstr("has files of more than 62 B together"));
  std::ofstream(directory / "chunk-0-dataset.json", std::ios::binary) << gzipped(padded);
  EXPECT_THAT(directory_error(10'000), HasSubstr("chunk-0-dataset.json: holds more than 10 kB"));
  EXPECT_EQ(directory_error(2'000'000), "no error");
  std::filesystem::remove_all(directory);
  EXPECT_THAT(error_of([&] { parse_trace(tar(padded), "p.tar", {.max_bytes = 10'000}); }),
              HasSubstr("more than 10 kB"));
}

TEST(EndlessLine, IsRefused) {
  EXPECT_EQ(error_of([] { read_trace("/dev/zero", {.format = "mooncake"}); }),
            "/dev/zero:1: line longer than 64 MiB");
  EXPECT_THAT(error_of([] { read_trace("/dev/zero"); }), HasSubstr("unknown trace format"));
}

TEST(Columns, AreFew) {
  // 64 MiB of commas would otherwise be 64 million fields of 48 bytes.
  EXPECT_EQ(error_of([] { parse_trace(kHeader.substr(0, 36) + std::string(999, ','), "t"); }),
            "t:1: more than 1000 columns");
  const std::string most = kHeader.substr(0, 36) + std::string(998, ',') + "\n";
  EXPECT_EQ(parse_trace(most + "5,6" + std::string(998, ','), "t").rows.size(), 1u);
  EXPECT_EQ(error_of([&] { parse_trace(most + "5,6" + std::string(5000, ','), "t"); }),
            "t:2: found 1001 columns, the header has 1000");
}

TEST(Histogram, HasFewLengths) {
  std::string many;
  for (int i = 1; i <= 1'000'001; ++i) many += std::to_string(i) + ":1,";
  many.back() = '}';
  EXPECT_THAT(error_of([&] {
                parse_length_histograms(R"({"0": {"input_tokens": "{)" + many + R"("}})", "d");
              }),
              HasSubstr("d:1: more than 1000000 lengths"));
}

TEST(MaxRequests, EndsTheReading) {
  const std::string text = rows(10) + "what comes after is not looked at";
  EXPECT_EQ(parse_trace(text, "t", {.max_requests = 10}).rows.size(), 10u);
  EXPECT_THAT(error_of([&] { parse_trace(text, "t", {.max_requests = 11}); }), HasSubstr("t:12"));
}

TEST(MaxRequests, TakesTheEarliestOfAProfile) {
  const std::string lengths = R"({"0": {"input_tokens": "{50: 1}", "output_tokens": "{5: 1}"}})";
  const std::string tar = tar_of({{"chunk-0-trace.csv", "0,2,1,,,\n"},
                                  {"chunk-0-dataset.json", lengths},
                                  {"chunk-1-trace.csv", "0,2,1,,,\n"},
                                  {"chunk-1-dataset.json", lengths}});
  const Trace all = parse_trace(tar, "p.tar"),
              some = parse_trace(tar, "p.tar", {.max_requests = 9});
  ASSERT_EQ(some.rows.size(), 9u);
  EXPECT_EQ(some.rows[8].arrival, all.rows[8].arrival);
}

TEST(Profile, RefusesMoreRequestsThanATraceHolds) {
  // 1e6 requests/s for the 600 s of a single window.
  const std::string tar =
      tar_of({{"chunk-0-trace.csv", "0,1e6,1,,,\n"}, {"chunk-0-dataset.json", "{}"}});
  EXPECT_THAT(error_of([&] { parse_trace(tar, "p.tar"); }),
              HasSubstr("asks for 600000000 requests, allowed are 50000000"));
}

TEST(Profile, RefusesAFileThatIsThereTwice) {
  EXPECT_THAT(error_of([] {
                parse_trace(tar_of({{"chunk-1-trace.csv", "0,2,1,,,\n"},
                                    {"chunk-01-trace.csv", "0,2,1,,,\n"}}),
                            "p.tar");
              }),
              HasSubstr("has the trace of chunk 1 twice"));
}

}  // namespace
}  // namespace cmsim::work
