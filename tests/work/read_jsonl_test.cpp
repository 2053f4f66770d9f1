#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cmsim/work/trace_reader.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The shape of the published conversation trace: 1025 tokens are 3 blocks of 512, the last partial.
const std::string kMooncake =
    R"({"timestamp": 0, "input_length": 1025, "output_length": 500, "hash_ids": [0, 1, 2]})"
    "\n"
    R"({"timestamp": 3000, "input_length": 512, "output_length": 1, "hash_ids": [0]})"
    "\n";

const std::string kBailian =
    R"({"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 33, )"
    R"("output_length": 132, "type": "text", "turn": 1, "hash_ids": [1089, 1090, 1091]})"
    "\n"
    R"({"chat_id": 160, "parent_chat_id": 159, "timestamp": 61.5, "input_length": 48, )"
    R"("output_length": 7, "type": "text", "turn": 2, "hash_ids": [1089, 1090, 1092]})"
    "\n";

std::string row(const std::string& timestamp, const std::string& input, const std::string& output,
                const std::string& ids) {
  return fmt::format(
      "{{\"timestamp\": {}, \"input_length\": {}, \"output_length\": {}, \"hash_ids\": [{}]}}\n",
      timestamp, input, output, ids);
}

std::string mooncake_error(const std::string& text) {
  return error_of([&] { parse_trace(text, "t.jsonl"); });
}

TEST(ReadMooncake, KeepsStampsLengthsAndBlocks) {
  const Trace trace = parse_trace(kMooncake, "t.jsonl");
  EXPECT_EQ(trace.format, "mooncake");
  EXPECT_EQ(trace.block_size, 512);
  ASSERT_EQ(trace.rows.size(), 2u);
  EXPECT_EQ(trace.rows[0].prompt_tokens, 1025);
  EXPECT_EQ(trace.rows[0].output_tokens, 500);
  EXPECT_EQ(trace.rows[1].arrival, 3.0);  // 3000 ms
  EXPECT_THAT(trace.blocks(0), ElementsAre(0, 1, 2));
  EXPECT_THAT(trace.blocks(1), ElementsAre(0));
}

TEST(ReadBailian, KnowsSessionsAndClasses) {
  const std::string third =
      R"({"chat_id": 161, "parent_chat_id": -1, "timestamp": 62, "input_length": 16, )"
      R"("output_length": 7, "type": "file", "turn": 1, "hash_ids": [7]})";
  const Trace trace = parse_trace(kBailian + third + "\n", "t.jsonl");
  EXPECT_THAT(trace.classes, ElementsAre("text", "file"));
  EXPECT_EQ(trace.rows[1].request_class, 0);
  EXPECT_EQ(trace.rows[2].request_class, 1);
  EXPECT_NE(trace.rows[0].session, 0u);
  EXPECT_EQ(trace.rows[1].session, trace.rows[0].session);  // it answers the first
  EXPECT_EQ(trace.rows[1].turn, 2u);
  EXPECT_EQ(trace.rows[1].answers, 1u);
  EXPECT_NE(trace.rows[2].session, trace.rows[0].session);
  EXPECT_EQ(trace.rows[2].answers, 0u);
  std::string odd = kBailian;
  odd.replace(odd.find("text"), 4, "a,b");
  EXPECT_THAT(mooncake_error(odd), testing::HasSubstr("\"a,b\" is no name of a class"));
}

TEST(ReadMooncake, CountsBlocksOfTheSizeAskedFor) {
  // ceil(1025 / 1024) = 2 blocks, 3 are given.
  EXPECT_EQ(error_of([] { parse_trace(kMooncake, "t.jsonl", {.block_size = 1024}); }),
            "t.jsonl:1: 3 hash_ids for 1025 tokens, 2 blocks of 1024 tokens are needed (is "
            "block_size right?)");
}

TEST(ReadMooncake, CutsByTraceTimeAndKeepsTheBlocksOfWhatIsLeft) {
  const Trace trace = parse_trace(kMooncake, "t.jsonl", {.start = 1, .end = 4});
  ASSERT_EQ(trace.rows.size(), 1u);
  EXPECT_EQ(trace.rows[0].arrival, 3.0);
  EXPECT_THAT(trace.blocks(0), ElementsAre(0));
  EXPECT_THAT(parse_trace(kMooncake, "t.jsonl", {.start = 1, .end = 3}).rows, IsEmpty());
}

TEST(ReadMooncake, WithoutHashIdsHasNoBlocks) {
  const Trace trace =
      parse_trace(R"({"timestamp": 0, "input_length": 5, "output_length": 5})", "t.jsonl");
  EXPECT_FALSE(trace.has_blocks());
  EXPECT_THAT(mooncake_error(row("0", "5", "5", "1") +
                             R"({"timestamp": 0, "input_length": 5, "output_length": 5})"),
              HasSubstr("t.jsonl:2: a row without hash_ids"));
}

TEST(ReadMooncake, DropsAndCountsRowsWithoutOutput) {
  const Trace trace = parse_trace(row("0", "5", "0", "1") + row("1", "5", "2", "1"), "t.jsonl");
  EXPECT_EQ(trace.rows.size(), 1u);
  EXPECT_EQ(trace.dropped, 1);
  EXPECT_THAT(trace.dropped_reason, HasSubstr("no output tokens"));
}

TEST(ReadMooncake, AcceptsWhatOthersWrite) {
  // A byte order mark, Windows line ends, blank lines, other keys, no final newline.
  const Trace trace = parse_trace(
      "\xef\xbb\xbf{\"input_length\":1,\"more\":{\"a\":[1,\"\\u00e9\",null]},\"timestamp\":1.5,"
      "\"output_length\":2,\"hash_ids\":[7]}\r\n\r\n" +
          row("2", "1", "2", "7"),
      "t.jsonl");
  ASSERT_EQ(trace.rows.size(), 2u);
  EXPECT_EQ(trace.rows[0].arrival, 0.0015);
}

TEST(ReadMooncake, ErrorsNameFileLineAndField) {
  const std::string good = row("5", "5", "5", "1");
  EXPECT_EQ(mooncake_error(good + kMooncake.substr(0, 40)),
            "t.jsonl:2: column 41: found the end (cut short?) inside a string");
  EXPECT_EQ(mooncake_error(good + row("6", "-5", "5", "1")),
            "t.jsonl:2: input_length is -5, allowed is 1 to 2147483647 tokens");
  EXPECT_EQ(mooncake_error(good + row("6", "0", "5", "")),
            "t.jsonl:2: input_length is 0, allowed is 1 to 2147483647 tokens");
  EXPECT_EQ(mooncake_error(good + row("6", "5", "-1", "1")),
            "t.jsonl:2: output_length is -1, allowed is 0 to 2147483647 tokens");
  EXPECT_EQ(mooncake_error(good + row("6", "5", "5", "1, 2")),
            "t.jsonl:2: 2 hash_ids for 5 tokens, 1 blocks of 512 tokens are needed (is block_size "
            "right?)");
  EXPECT_EQ(mooncake_error(row("6000", "5", "5", "1") + "\n" + row("3000", "5", "5", "1")),
            "t.jsonl:3: timestamp (3.000000 s) is before that of line 1 (6.000000 s), rows must be "
            "in order of time");
  EXPECT_THAT(mooncake_error(row("-1", "5", "5", "1")),
              HasSubstr("t.jsonl:1: timestamp is -0.001"));
  EXPECT_THAT(mooncake_error(row("1e999", "5", "5", "1")),
              HasSubstr("no number a double can hold"));
  EXPECT_THAT(mooncake_error(row("1", "99999999999999999999", "5", "1")),
              HasSubstr("t.jsonl:1: column 34: input_length: 99999999999999999999 is too large"));
  EXPECT_THAT(mooncake_error(row("1", "5.5", "5", "1")), HasSubstr("input_length: found 5.5"));
  EXPECT_THAT(mooncake_error(row("1", "\"5\"", "5", "1")), HasSubstr("expected a number"));
  EXPECT_THAT(mooncake_error(row("1", "5", "5", "-1")), HasSubstr("hash_ids: found '-1]}'"));
  EXPECT_THAT(mooncake_error(row("1", "5", "5", "99999999999999999999")), HasSubstr("too large"));
  EXPECT_THAT(mooncake_error(row("1", "9223372036854775808", "5", "1")),  // 2^63
              HasSubstr("input_length: 9223372036854775808 is too large"));
  EXPECT_EQ(mooncake_error(row("1", "4294967297", "5", "1")),  // 2^32 + 1 is not 1
            "t.jsonl:1: input_length is 4294967297, allowed is 1 to 2147483647 tokens");
  EXPECT_EQ(mooncake_error(row("1", "5", "2147483648", "1")),
            "t.jsonl:1: output_length is 2147483648, allowed is 0 to 2147483647 tokens");
  EXPECT_THAT(mooncake_error(row("1", "1e400", "5", "1")), HasSubstr("expected a whole number"));
  EXPECT_EQ(mooncake_error(row("1", "-0", "5", "1")),
            "t.jsonl:1: input_length is 0, allowed is 1 to 2147483647 tokens");
  EXPECT_THAT(mooncake_error(row("1", "5", "5", "18446744073709551616")), HasSubstr("too large"));
  EXPECT_THAT(mooncake_error(row("1.1e13", "5", "5", "1")),
              HasSubstr("timestamp is 1.1e+10 s, allowed is 0 to 1e+10 s"));
  EXPECT_THAT(mooncake_error(R"({"timestamp": 0, "input_length": 5})"),
              HasSubstr("output_length is missing"));
  EXPECT_THAT(mooncake_error(R"({"timestamp": 0, "timestamp": 1, "input_length": 5})"),
              HasSubstr("timestamp is given twice"));
  EXPECT_THAT(mooncake_error(good.substr(0, good.size() - 1) + " x"),
              HasSubstr("after the object"));
  EXPECT_THAT(mooncake_error(row("01", "5", "5", "1")), HasSubstr("expected a number"));
}

TEST(ReadBailian, ReadsSecondsAndSixteenTokenBlocks) {
  const Trace trace = parse_trace(kBailian, "b.jsonl");
  EXPECT_EQ(trace.format, "bailian");
  EXPECT_EQ(trace.block_size, 16);
  ASSERT_EQ(trace.rows.size(), 2u);
  EXPECT_EQ(trace.rows[0].arrival, 61.114);
  EXPECT_THAT(trace.blocks(0), ElementsAre(1089, 1090, 1091));  // ceil(33 / 16) = 3
}

TEST(ReadBailian, GivesAPartialLastBlockWithoutIdOneOfItsOwn) {
  // 33 tokens are two full blocks and one token.
  const std::string line =
      R"({"chat_id": 1, "timestamp": 1, "input_length": 33, "output_length": 1, "hash_ids": [4, 5]})"
      "\n";
  const Trace trace = parse_trace(line + line, "b.jsonl");
  ASSERT_EQ(trace.rows[1].block_count, 3u);
  EXPECT_EQ(trace.blocks(0)[1], trace.blocks(1)[1]);
  EXPECT_NE(trace.blocks(0)[2], trace.blocks(1)[2]);
}

TEST(ReadBailian, RefusesAnIdThatOneOfItsOwnMayEqual) {
  EXPECT_EQ(error_of([] {
              parse_trace(
                  R"({"chat_id": 1, "timestamp": 1, "input_length": 33, "output_length": 1, )"
                  R"("hash_ids": [4, 9223372036854775808]})",
                  "b.jsonl");
            }),
            "b.jsonl:1: hash_ids holds 9223372036854775808, allowed is less than 2^63");
}

}  // namespace
}  // namespace cmsim::work
