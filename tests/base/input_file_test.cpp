#include "cmsim/base/input_file.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "cmsim/base/config.hpp"
#include "cmsim/base/utf8.hpp"

namespace cmsim {
namespace {

using testing::HasSubstr;

template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Utf8, FindsTheFirstByteThatIsNone) {
  EXPECT_EQ(find_invalid_utf8("a\tb é € 𝄞"), std::string_view::npos);
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2u);
  EXPECT_EQ(find_invalid_utf8("a\xc0\xaf"), 1u);         // overlong '/'
  EXPECT_EQ(find_invalid_utf8("\xed\xa0\x80"), 0u);      // a surrogate
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0u);  // beyond U+10FFFF
  EXPECT_EQ(find_invalid_utf8("ab\xe2\x82"), 2u);        // cut short
  EXPECT_EQ(printable("é\xff-\xe2\x82"), "é\\xff-\\xe2\\x82");
  EXPECT_THAT(error_of([] { require_utf8(std::string_view("a\0b", 3)); }),
              testing::HasSubstr("a\\x00b: holds a zero byte"));
  EXPECT_EQ(printable("a\nb\tc\x7f"), "a\\x0ab\\x09c\\x7f");
  EXPECT_THAT(error_of([] { require_utf8("bad\xff.json"); }), HasSubstr("bad\\xff.json: is not"));
}

TEST(InputFile, EveryFailureIsTheUsers) {
  const std::string directory = testing::TempDir();
  EXPECT_EQ(error_of([] { read_whole("/nonexistent/x", 9); }), "/nonexistent/x: no such file");
  EXPECT_EQ(error_of([&] { read_whole(directory, 9); }),
            directory + ": is a directory, not a file");
  // NAME_MAX is 255 bytes.
  EXPECT_THAT(error_of([] { read_whole(std::string(300, 'x'), 9); }),
              HasSubstr("cannot be opened: File name too long"));
  // It can be opened, but nothing is mapped at address 0.
  EXPECT_EQ(error_of([] { read_whole("/proc/self/mem", 9); }),
            "/proc/self/mem: cannot be read: Input/output error");
  EXPECT_THAT(error_of([] { read_whole("bad\xff", 9); }), HasSubstr("bad\\xff: is not UTF-8"));
  if (geteuid() != 0) {  // root may read anything
    EXPECT_THAT(error_of([] { read_whole("/proc/1/mem", 9); }), HasSubstr("Permission denied"));
  }
}

TEST(InputFile, ReadsNoMoreThanWasAllowed) {
  const std::string path = testing::TempDir() + "/cmsim_input_file_test";
  std::ofstream(path) << "12345";
  EXPECT_EQ(read_whole(path, 5), "12345");
  EXPECT_EQ(error_of([&] { read_whole(path, 4); }),
            path + ": is longer than 4 B, the most that is read");
  std::filesystem::remove(path);
}

TEST(Config, RefusesFilesThatAreNoConfiguration) {
  EXPECT_EQ(error_of([] { ConfigDocument::from_file("/dev/zero"); }),
            "/dev/zero: is longer than 16 MB, the most that is read");
  EXPECT_EQ(error_of([] { ConfigDocument::from_file("/proc/self/mem"); }),
            "/proc/self/mem: cannot be read: Input/output error");
  auto document = ConfigDocument::from_text(R"({"model": "x.json"})", "s.json");
  EXPECT_THAT(error_of([&] { document.apply_set("/model=\xff"); }),
              HasSubstr("/model=\\xff: is not UTF-8"));
  const auto including = [&](const std::string& file) {
    document.apply_set("/model=" + file);
    return error_of([&] { document.include_file("/model", ""); });
  };
  EXPECT_THAT(including(std::string(300, 'x')), HasSubstr("x: cannot be opened: File name too"));
  EXPECT_THAT(including("/dev/zero"), HasSubstr("/model: /dev/zero: is longer than 16 MB"));
}

}  // namespace
}  // namespace cmsim
