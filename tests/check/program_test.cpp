#include "cmsim/check/program.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cmsim/base/error.hpp"

namespace cmsim::check {
namespace {

namespace fs = std::filesystem;

/// A shell script as another build of cmsim.
class OtherProgram : public ::testing::Test {
 protected:
  ~OtherProgram() override { fs::remove(file_); }

  std::string run(const std::string& script) const {
    std::ofstream(file_) << "#!/bin/sh\n" << script << "\n";
    fs::permissions(file_, fs::perms::owner_all);
    return run_program(file_, {"step", "s.json", {"/a=b c"}, {"--phase", "decode"}, {}});
  }

  template <class Error>
  std::string failure(const std::string& script) const {
    try {
      run(script);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path file_ = fs::temp_directory_path() / ("cmsim_program." + std::to_string(getpid()));
};

TEST_F(OtherProgram, GetsTheWordsOfThePointAndJson) {
  EXPECT_EQ(run("printf '%s|' \"$@\""), "step|s.json|--phase|decode|--set|/a=b c|--json|");
}

TEST_F(OtherProgram, MayPrintMoreThanAPipeHolds) {
  EXPECT_EQ(run("head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2").size(), 300000u);
}

TEST_F(OtherProgram, ItsExitCodeSaysWhoseFaultItIs) {
  EXPECT_EQ(failure<ConfigError>("printf 'note\\ncmsim: s.json: no\\n' >&2; exit 2"),
            "cmsim: s.json: no");
  EXPECT_EQ(failure<SimulationError>("exit 3"), "ended with code 3: it says nothing");
  EXPECT_EQ(failure<SimulationError>("kill -9 $$"), "ended by signal 9");
}

TEST(FindProgram, TakesAPathOrAWordOfPath) {
  EXPECT_EQ(find_program("/bin/sh"), "/bin/sh");
  EXPECT_EQ(find_program("sh").filename(), "sh");
  EXPECT_THROW(find_program("/bin"), ConfigError);
  EXPECT_THROW(find_program("./no-such-program"), ConfigError);
  EXPECT_THROW(find_program("no-such-program-anywhere"), ConfigError);
}

}  // namespace
}  // namespace cmsim::check
