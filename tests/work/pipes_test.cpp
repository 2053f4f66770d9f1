// A trace is read once, front to back: through a pipe nothing of it is lost, and a pipe that breaks
// is the user's error.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>
#include <thread>

#include "cmsim/work/trace_reader.hpp"
#include "src/work/input_stream.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using test::gzipped;
using test::tar_of;
using test::zstd;
using testing::HasSubstr;

/// Rows with blocks, 300 KB: several reads of a pipe, which holds 64 KiB.
std::string rows() {
  std::string text;
  for (int i = 0; i < 4000; ++i) {
    text += R"({"timestamp": )" + std::to_string(i * 7) +
            R"(, "input_length": 600, "output_length": 7, "hash_ids": [0, )" +
            std::to_string(i + 1) + "]}\n";
  }
  return text;
}

std::string profile() {
  return tar_of({{"p/chunk-0-trace.csv", "0,2,1,,,\n"},
                 {"p/chunk-0-dataset.json",
                  R"({"0": {"input_tokens": "{50: 1}", "output_tokens": "{5: 1}"}})"}});
}

void write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::write(descriptor, bytes.data(), bytes.size());
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

/// What `read` gives for a path at which `bytes` come through a pipe, the first seven on their own.
template <class Read>
auto through_a_pipe(const std::string& bytes, Read read) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::thread writer([&] {
    write_all(ends[1], std::string_view(bytes).substr(0, 7));
    ::usleep(1000);
    write_all(ends[1], std::string_view(bytes).substr(7));
    ::close(ends[1]);
  });
  const auto result = read("/dev/fd/" + std::to_string(ends[0]));
  ::close(ends[0]);
  writer.join();
  return result;
}

void expect_same(const Trace& found, const Trace& expected) {
  ASSERT_EQ(found.rows.size(), expected.rows.size());
  for (std::size_t i = 0; i < found.rows.size(); ++i) {
    EXPECT_EQ(found.rows[i].arrival, expected.rows[i].arrival);
    EXPECT_EQ(found.rows[i].prompt_tokens, expected.rows[i].prompt_tokens);
    EXPECT_EQ(found.rows[i].output_tokens, expected.rows[i].output_tokens);
  }
  EXPECT_EQ(found.block_ids, expected.block_ids);
  EXPECT_EQ(found.format, expected.format);
}

TEST(Pipe, LosesNothingPlainOrCompressed) {
  for (const std::string& plain : {rows(), profile()}) {
    const Trace expected = parse_trace(plain, "t");
    ASSERT_GT(expected.rows.size(), 1000u);
    for (const std::string& bytes : {plain, gzipped(plain), zstd(plain)}) {
      expect_same(through_a_pipe(bytes, [](const auto& path) { return read_trace(path); }),
                  expected);
    }
  }
}

TEST(Pipe, MayBeANamedOne) {
  const auto path = std::filesystem::path(testing::TempDir()) / "cmsim_pipe_test.fifo";
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(path, std::ios::binary) << gzipped(rows()); });
  const Trace found = read_trace(path);
  writer.join();
  std::filesystem::remove(path);
  expect_same(found, parse_trace(rows(), "t"));
}

TEST(Pipe, ThatEndsWithinCompressedDataIsAnError) {
  for (const std::string& whole : {gzipped(rows()), zstd(rows())}) {
    EXPECT_THAT(
        through_a_pipe(whole.substr(0, whole.size() - 5),
                       [](const auto& path) { return error_of([&] { read_trace(path); }); }),
        HasSubstr("cut short"));
  }
}

/// Gives `bytes`, then fails as a broken disk does.
ByteSource breaking_after(const std::string& bytes) {
  return [bytes, at = std::size_t{0}](std::span<char> into) mutable {
    const std::size_t count = bytes.copy(into.data(), into.size(), at);
    if (count == 0) throw std::system_error(EIO, std::generic_category());
    at += count;
    return count;
  };
}

TEST(InputStream, AFailingReadNamesTheLineBefore) {
  const std::string text = "one\ntwo\n";
  EXPECT_EQ(error_of([&] {
              InputStream input(breaking_after(text), "t");
              while (input.read_line()) {
              }
            }),
            "t:2: cannot be read: Input/output error");
  for (const std::string& packed : {gzipped(text), zstd(text)}) {
    EXPECT_THAT(error_of([&] {
                  InputStream input(breaking_after(packed), "t");
                  while (input.read_line()) {
                  }
                }),
                HasSubstr("cannot be read: Input/output error"));
  }
  EXPECT_EQ(error_of([&] { InputStream(breaking_after(""), "t"); }),
            "t: cannot be read: Input/output error");
}

TEST(ReadTrace, OfWhatCannotBeReadIsTheUsersError) {
  EXPECT_EQ(error_of([] { read_trace("/proc/self/mem"); }),
            "/proc/self/mem: cannot be read: Input/output error");
  EXPECT_THAT(error_of([] { read_trace(std::string(300, 'x')); }), HasSubstr("File name too long"));
  EXPECT_THAT(error_of([] { read_trace("\xff.csv"); }), HasSubstr("\\xff.csv: is not UTF-8"));
  const auto directory = std::filesystem::path(testing::TempDir()) / "cmsim_pipe_test\xff";
  std::filesystem::create_directories(directory);
  EXPECT_THAT(error_of([&] { read_trace(directory); }), HasSubstr("\\xff: is not UTF-8"));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace cmsim::work
