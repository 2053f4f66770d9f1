#include "src/work/input_stream.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "cmsim/work/trace_reader.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using test::gzipped;
using test::zstd;
using testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& bytes) {
  InputStream input(bytes, "t");
  std::vector<std::string> lines;
  while (const auto line = input.read_line()) lines.emplace_back(*line);
  return lines;
}

/// Text longer than the 64 KiB of one read, so that lines straddle reads.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 60000; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

TEST(InputStream, ReadsTheSameLinesPlainAndCompressed) {
  const std::string text = long_text();
  const auto plain = lines_of(text);
  ASSERT_EQ(plain.size(), 60000u);
  EXPECT_EQ(plain[59999], "line 59999");
  EXPECT_EQ(lines_of(gzipped(text)), plain);
  EXPECT_EQ(lines_of(zstd(text)), plain);
}

TEST(InputStream, ReadsSeveralMembersAsOneFile) {
  EXPECT_EQ(lines_of(gzipped("a\n") + gzipped("b\n")), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(lines_of(zstd("a\n") + zstd("b\n")), (std::vector<std::string>{"a", "b"}));
}

TEST(InputStream, RefusesCompressedDataThatIsCutAnywhere) {
  const std::string text = long_text();
  const std::string gz = gzipped(text), zst = zstd(text);
  for (const std::string& whole : {gz, zst}) {
    for (const std::size_t lost : {std::size_t{1}, std::size_t{4}, std::size_t{8}, std::size_t{12},
                                   whole.size() / 2, whole.size() - 6}) {
      const std::string cut = whole.substr(0, whole.size() - lost);
      EXPECT_THAT(error_of([&] { lines_of(cut); }), HasSubstr("cut short")) << lost;
    }
  }
}

TEST(InputStream, RefusesDamagedData) {
  std::string gz = gzipped(long_text());  // zstd's check sum is optional, gzip's is not
  gz[gz.size() / 2] ^= 0x55;
  EXPECT_THAT(error_of([&] { lines_of(gz); }), HasSubstr("damaged"));
}

TEST(InputStream, RefusesWhatIsNoText) {
  EXPECT_EQ(error_of([] { lines_of("ab\nc\x80"); }),
            "t:2: column 2: byte 0x80 is not text, allowed is UTF-8 without control characters");
  EXPECT_THAT(error_of([] { lines_of(std::string("a\0b", 3)); }), HasSubstr("byte 0x00"));
}

TEST(FindNonText, KnowsUtf8) {
  EXPECT_EQ(find_non_text("a\tb é € 𝄞"), std::string_view::npos);
  EXPECT_EQ(find_non_text("a\xc0\xaf"), 1u);         // overlong '/'
  EXPECT_EQ(find_non_text("a\xe0\x80\xaf"), 1u);     // overlong in three bytes
  EXPECT_EQ(find_non_text("\xed\xa0\x80"), 0u);      // a surrogate
  EXPECT_EQ(find_non_text("\xf4\x90\x80\x80"), 0u);  // beyond U+10FFFF
  EXPECT_EQ(find_non_text("ab\xe2\x82"), 2u);        // cut short
}

TEST(ReadTrace, NamesTheFileThatCannotBeRead) {
  const auto directory = std::filesystem::temp_directory_path() /
                         ("cmsim_input_stream_test." + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  const auto file = directory / "t.jsonl.gz";
  std::ofstream(file) << "hello";
  EXPECT_EQ(error_of([&] { read_trace(directory / "none.jsonl"); }),
            (directory / "none.jsonl").string() + ": no such file");
  EXPECT_THAT(error_of([&] { read_trace(file); }), HasSubstr("t.jsonl.gz: is not gzip data"));
  EXPECT_THAT(error_of([&] { read_trace(directory); }), HasSubstr("holds no ServeGen profile"));
  EXPECT_THAT(error_of([&] { read_trace(directory, {.format = "azure"}); }),
              HasSubstr("is a directory, and format azure is a file"));
  if (geteuid() != 0) {  // root may read anything
    std::filesystem::permissions(file, std::filesystem::perms::none);
    EXPECT_THAT(error_of([&] { read_trace(file); }), HasSubstr("Permission denied"));
  }
  std::filesystem::remove_all(directory);
}

TEST(ReadTrace, NamesTheFormatsItKnows) {
  const std::string message = error_of([] { parse_trace("time,tokens\n1,2\n", "t.csv"); });
  EXPECT_THAT(message, HasSubstr("t.csv: unknown trace format, it begins \"time,tokens\""));
  for (const std::string& format : known_formats()) EXPECT_THAT(message, HasSubstr(format + ":"));
  EXPECT_THAT(error_of([] { parse_trace("x", "t.csv", {.format = "mooncacke"}); }),
              HasSubstr("did you mean \"mooncake\"?"));
  EXPECT_EQ(error_of([] { parse_trace("", "t.csv"); }), "t.csv: is empty");
}

}  // namespace
}  // namespace cmsim::work
