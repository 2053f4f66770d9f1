#include "cmsim/base/files.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <functional>
#include <set>
#include <string>

#include "cmsim/base/error.hpp"
#include "tests/base/support.hpp"

namespace cmsim {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Files : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  std::string content(const std::string& name) const {
    std::ifstream stream(directory_ / name);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  std::set<std::string> names() const {
    std::set<std::string> all;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      all.insert(entry.path().filename().string());
    }
    return all;
  }
  void write_pair(std::string_view first, std::string_view seal) const {
    write_unit(directory_, std::array{NamedContent{"first", first}, NamedContent{"seal", seal}});
  }

  /// A process that writes a pair, by now waiting for whoever holds the lock.
  pid_t writer_beside(int lock) const {
    const pid_t child = fork();
    if (child == 0) {
      close(lock);
      write_pair("1", "one");
      _exit(0);
    }
    usleep(100'000);
    return child;
  }

  const fs::path directory_ =
      fs::temp_directory_path() / ("cmsim_files." + std::to_string(getpid()));
};

TEST_F(Files, AUnitReplacesTheOneBefore) {
  write_pair("1", "one");
  write_pair("22", "two");
  EXPECT_EQ(content("first"), "22");
  EXPECT_EQ(content("seal"), "two");
  EXPECT_EQ(names(), (std::set<std::string>{"first", "seal"}));
}

TEST_F(Files, WhatTheUnitNoLongerHasIsTakenAway) {
  std::ofstream(directory_ / "second") << "old";
  std::ofstream(directory_ / "third") << "not of the unit";
  const std::array<std::string_view, 2> gone{"second", "never there"};
  write_unit(directory_, std::array{NamedContent{"seal", "one"}}, gone);
  EXPECT_EQ(names(), (std::set<std::string>{"seal", "third"}));
}

TEST_F(Files, TheDirectoryIsMadeWithTheUnit) {
  write_unit(directory_ / "a/b", std::array{NamedContent{"x", "1"}});
  EXPECT_EQ(content("a/b/x"), "1");
}

TEST_F(Files, WhatAKilledWriterStagedIsRemovedAndNothingElse) {
  std::ofstream(directory_ / ".cmsim-99-0") << "half";
  std::ofstream(directory_ / ".cmsimrc") << "somebody's";
  std::ofstream(directory_ / ".cmsim-mine") << "somebody's";
  fs::create_directory(directory_ / ".cmsim-directory");
  write_pair("1", "one");
  EXPECT_EQ(names(), (std::set<std::string>{"first", "seal", ".cmsimrc", ".cmsim-mine",
                                            ".cmsim-directory"}));
}

TEST_F(Files, AFailureLeavesTheUnitThatWasThere) {
  write_pair("1", "one");
  fs::create_directory(directory_ / "taken");
  const auto files =
      std::array{NamedContent{"first", "2"}, NamedContent{"taken", "2"}, NamedContent{"seal", "2"}};
  EXPECT_THAT(error_of<OutputError>([&] { write_unit(directory_, files); }),
              HasSubstr("taken: cannot be written: Is a directory"));
  EXPECT_EQ(content("first"), "1");
  EXPECT_EQ(content("seal"), "one");
  EXPECT_EQ(names(), (std::set<std::string>{"first", "seal", "taken"}));
}

TEST_F(Files, AFullDiskIsNamedAndLeavesNothingBehind) {
  // A file of more than 4 bytes is "too large" here, which is what a full disk looks like.
  std::signal(SIGXFSZ, SIG_IGN);
  write_pair("1", "one");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string error = error_of<OutputError>([&] { write_pair("22", "much too long"); });
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_THAT(error, HasSubstr("seal: cannot be written: File too large"));
  EXPECT_EQ(content("first"), "1");
  EXPECT_EQ(content("seal"), "one");
  EXPECT_EQ(names(), (std::set<std::string>{"first", "seal"}));
}

TEST_F(Files, WritersExcludeEachOther) {
  const int lock = open(directory_.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  const pid_t child = writer_beside(lock);
  EXPECT_TRUE(names().empty());  // it waits
  close(lock);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(content("seal"), "one");
}

TEST_F(Files, WhoWaitsForTheDirectoryEndsAtASignal) {
  const int lock = open(directory_.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  const pid_t child = writer_beside(lock);
  kill(child, SIGTERM);
  int status = 0;
  waitpid(child, &status, 0);
  close(lock);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  EXPECT_TRUE(names().empty());
}

TEST_F(Files, OneFileKeepsItsLinkAndAPipeIsWrittenInPlace) {
  std::ofstream(directory_ / "real") << "old";
  fs::create_symlink("real", directory_ / "link");
  write_whole(directory_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(directory_ / "link"));
  EXPECT_EQ(content("real"), "new");

  ASSERT_EQ(mkfifo((directory_ / "pipe").c_str(), 0600), 0);
  const int reader = open((directory_ / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  write_whole(directory_ / "pipe", "through");
  char bytes[16] = {};
  EXPECT_EQ(read(reader, bytes, sizeof bytes), 7);
  close(reader);
  EXPECT_EQ(std::string(bytes), "through");
  EXPECT_TRUE(fs::is_fifo(directory_ / "pipe"));
}

TEST_F(Files, LinksAreFollowedAlsoToWhatIsNotThereYet) {
  fs::create_symlink("b", directory_ / "a");
  fs::create_symlink("c", directory_ / "b");
  write_whole(directory_ / "a", "new");
  EXPECT_TRUE(fs::is_symlink(directory_ / "b"));
  EXPECT_EQ(content("c"), "new");
  fs::create_symlink("loop", directory_ / "loop");
  EXPECT_THAT(error_of<OutputError>([&] { write_whole(directory_ / "loop", "new"); }),
              HasSubstr("Too many levels of symbolic links"));
}

TEST_F(Files, OneFileNeedsNoLockAndRemovesNothing) {
  const int lock = open(directory_.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(lock, LOCK_EX), 0);
  std::ofstream(directory_ / ".cmsim-99-0") << "maybe another's, at work";
  write_whole(directory_ / "x", "1");
  close(lock);
  EXPECT_EQ(names(), (std::set<std::string>{"x", ".cmsim-99-0"}));
}

/// What `action` does as a user who is not root.
int as_nobody(const std::function<void()>& action) {
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65534) != 0) _exit(99);
    try {
      action();
      _exit(0);
    } catch (const ConfigError&) {
      _exit(2);
    } catch (const OutputError&) {
      _exit(3);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST_F(Files, WhoIsNotRootMayWriteToDevicesAndNotIntoForeignDirectories) {
  if (getuid() != 0) GTEST_SKIP() << "only root can become somebody else";
  EXPECT_EQ(as_nobody([] {
              check_place_of("/dev/null");
              write_whole("/dev/null", "x");
            }),
            0);
  EXPECT_EQ(as_nobody([] { check_place("/etc"); }), 2);
  EXPECT_EQ(as_nobody([] { check_place_of("/etc/x"); }), 2);
  fs::permissions(directory_, fs::perms(0333));  // may be written, not read: no lock, no cleaning
  EXPECT_EQ(as_nobody([&] {
              check_place(directory_);
              write_pair("1", "one");
            }),
            0);
  EXPECT_EQ(content("seal"), "one");
}

TEST_F(Files, APlaceThatCannotBeWrittenIsSeenBeforehand) {
  std::ofstream(directory_ / "file") << "";
  check_place(directory_ / "a/b/c");  // would be made
  EXPECT_FALSE(fs::exists(directory_ / "a"));
  fs::create_symlink("/nowhere/x", directory_ / "dangling");
  for (const fs::path& place :
       {directory_ / "file", directory_ / "file/x/y", fs::path(), directory_ / "dangling"}) {
    EXPECT_THROW(check_place(place), ConfigError) << place;
  }
  check_place_of(directory_ / "file");
  check_place_of("a file in the working directory");
  for (const fs::path& file : {directory_ / "a/file", directory_, directory_ / ""}) {
    EXPECT_THROW(check_place_of(file), ConfigError) << file;
  }
}

TEST_F(Files, MakesFilesThatOthersMayRead) {
  umask(022);
  write_whole(directory_ / "x", "1");
  struct stat facts {};
  ASSERT_EQ(stat((directory_ / "x").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0644u);  // 0666 without the mask
}

}  // namespace
}  // namespace cmsim
