#include <gmock/gmock.h>

#include "cmsim/work/trace_reader.hpp"
#include "src/work/wall_clock.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using testing::HasSubstr;

std::string csv_error(const std::string& text) {
  return error_of([&] { parse_trace(text, "t.csv"); });
}

TEST(ReadAzure, Reads2023WithSevenDecimals) {
  const Trace trace = parse_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      "2023-11-16 18:15:46.6805900,374,44\r\n"
      "2023-11-16 18:15:50.9951690,396,109",
      "azure.csv");
  EXPECT_EQ(trace.format, "azure");
  ASSERT_EQ(trace.rows.size(), 2u);
  EXPECT_EQ(trace.rows[0].arrival, 0);
  EXPECT_NEAR(trace.rows[1].arrival, 4.314579, 1e-9);  // 50.9951690 - 46.6805900
  EXPECT_EQ(trace.rows[1].prompt_tokens, 396);
  EXPECT_EQ(trace.rows[1].output_tokens, 109);
  EXPECT_FALSE(trace.has_blocks());
}

TEST(ReadAzure, Reads2024WithOffset) {
  const Trace trace = parse_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2024-05-10 00:00:00.009930+00:00,2162,5\n"
      "2024-05-11 00:00:01+00:00,2399,6\n",
      "azure.csv");
  // A day and a second, less 9.93 ms.
  EXPECT_NEAR(trace.rows[1].arrival, 86400.99007, 1e-6);
}

TEST(WallClock, CountsDaysAndOffsets) {
  // 2000-03-01 is day 11017: 30 years of 365 days, 7 leap days (1972 to 1996), 60 days of a leap
  // year.
  EXPECT_EQ(parse_wall_clock("2000-03-01 00:00:00")->seconds, 11017LL * 86400);
  EXPECT_EQ(parse_wall_clock("2000-03-01T02:30:00+02:30")->seconds, 11017LL * 86400);
  EXPECT_EQ(parse_wall_clock("2000-02-29 23:00:00-01:00")->seconds, 11017LL * 86400);
  for (const char* bad :
       {"", "2001-02-29 00:00:00", "2001-13-01 00:00:00", "2001-01-01 24:00:00", "2001-01-01",
        "2001-01-01 00:00:00.", "2001-01-01 00:00:00x", "2001-01-01 00:00:00+1"}) {
    EXPECT_FALSE(parse_wall_clock(bad).has_value()) << bad;
  }
}

TEST(ReadBurstGpt, DropsFailuresOfAllThreeVersions) {
  const Trace first = parse_trace(
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
      "5,ChatGPT,472,18,490,Conversation log\n"
      "45,ChatGPT,1087,0,1087,Conversation log\n"
      "118.5,GPT-4,417,276,693,Conversation log\n",
      "burst.csv");
  EXPECT_EQ(first.format, "burstgpt");
  ASSERT_EQ(first.rows.size(), 2u);
  EXPECT_EQ(first.dropped, 1);
  EXPECT_EQ(first.rows[0].arrival, 5);
  EXPECT_EQ(first.rows[1].arrival, 118.5);
  EXPECT_EQ(first.classes, (std::vector<std::string>{"Conversation log"}));
  const Trace third = parse_trace(
      "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log "
      "Type\n"
      "5,\"a, b\",1.5,GPT-4,472,18,490,API log\n",
      "burst.csv");
  ASSERT_EQ(third.rows.size(), 1u);
  EXPECT_EQ(third.rows[0].prompt_tokens, 472);
}

TEST(ReadVidur, ReadsWithAndWithoutArrivals) {
  const Trace timed =
      parse_trace("arrived_at,num_prefill_tokens,num_decode_tokens\n0.25,100,20.0\n", "v.csv");
  EXPECT_EQ(timed.format, "vidur");
  EXPECT_TRUE(timed.has_arrivals);
  EXPECT_EQ(timed.rows[0].arrival, 0.25);
  EXPECT_EQ(timed.rows[0].output_tokens, 20);
  const Trace lengths =
      parse_trace(",num_prefill_tokens,num_decode_tokens,pd_ratio\n0,9,3,3.0\n", "v.csv");
  EXPECT_FALSE(lengths.has_arrivals);
  EXPECT_EQ(lengths.rows[0].prompt_tokens, 9);
}

TEST(ReadCsv, ErrorsNameFileLineAndColumn) {
  const std::string azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  const std::string stamp = "2023-11-16 18:15:46.68,";
  EXPECT_EQ(csv_error(azure + stamp + "374"),
            "t.csv:2: found 2 columns, the header has 3 (line cut short?)");
  EXPECT_EQ(csv_error(azure + stamp + "-374,5"),
            "t.csv:2: ContextTokens is -374, allowed is 1 to 2147483647 tokens");
  EXPECT_EQ(csv_error(azure + stamp + "0,5"),
            "t.csv:2: ContextTokens is 0, allowed is 1 to 2147483647 tokens");
  EXPECT_EQ(csv_error(azure + stamp + "7,4294967296"),
            "t.csv:2: GeneratedTokens is 4294967296, allowed is 0 to 2147483647 tokens");
  EXPECT_EQ(csv_error(azure + stamp + "7,99999999999999999999"),
            "t.csv:2: GeneratedTokens: found \"99999999999999999999\", expected a number of at "
            "most 2147483647");
  EXPECT_EQ(csv_error(azure + stamp + "7,x"),
            "t.csv:2: GeneratedTokens: found \"x\", expected a whole number");
  EXPECT_THAT(csv_error(azure + stamp + "7,1.5"), HasSubstr("expected a whole number"));
  EXPECT_THAT(csv_error(azure + "yesterday,7,1"), HasSubstr("t.csv:2: TIMESTAMP: found"));
  EXPECT_THAT(csv_error(azure + "2023-11-16 00:00:02,7,1\n2023-11-16 00:00:01,7,1"),
              HasSubstr("t.csv:3: TIMESTAMP (-1.000000 s) is before that of line 2"));
  EXPECT_EQ(csv_error("TIMESTAMP,ContextTokens\n"),
            "t.csv:1: no column \"GeneratedTokens\", the header has TIMESTAMP, ContextTokens");
  EXPECT_EQ(csv_error(azure), "t.csv:1: holds no requests");
  EXPECT_THAT(csv_error("num_prefill_tokens,num_decode_tokens,arrived_at\n1,1,nan"),
              HasSubstr("arrived_at: found \"nan\""));
}

}  // namespace
}  // namespace cmsim::work
