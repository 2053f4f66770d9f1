// Files that are none, too long or misnamed are the user's mistakes: code 2, one line, no output.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"

namespace cmsim::cli {
namespace {

using testing::HasSubstr;

TEST(Input, MistakesAreCode2WithOneLine) {
  const WorkDirectory here;
  std::ofstream(here / "bad\xff.json") << "{}";
  const std::string far(300, 'x');
  for (const auto& [arguments, message] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"/proc/self/mem"}, "/proc/self/mem: cannot be read: Input/output error"},
           {{"/dev/zero"}, "/dev/zero: is longer than 16 MB"},
           {{kScenario, "--set", "/platform=/dev/zero"}, "/platform: /dev/zero: is longer than"},
           {{far}, "File name too long"},
           {{kScenario, "--set", "/model=" + far}, "File name too long"},
           {{kScenario, "--set", "/workload/trace=" + far}, "File name too long"},
           {{"bad\xff.json"}, "bad\\xff.json: is not UTF-8"},
           {{kScenario, "--trace", "\xff.csv"}, "\\xff.csv: is not UTF-8"},
           {{kScenario, "--trace", "/proc/self/mem"}, "cannot be read: Input/output error"},
           {{kScenario, "--trace", "."}, "holds no ServeGen profile"},
           {{kScenario, "--set",
             R"(/workload={"requests": 2147483647, "prompt_length": 5, "output_length": 5,
                "arrivals": {"kind": "all_at_once"}})"},
            "/workload/requests: found 2147483647, allowed is 1 to 5"},
           {{kScenario, "--set", R"(/workload={"requests": 9, "prompt_length": 5,
                "output_length": 5, "arrivals": {"kind": "poisson", "rate": 1e-15}})"},
            "/workload/arrivals/rate: found 1e-15"}}) {
    std::vector<std::string> all{"run", "--json"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Outcome run = here.cmsim(all);
    EXPECT_EQ(run.code, 2) << run.err;
    EXPECT_THAT(run.err, HasSubstr(message));
    EXPECT_TRUE(run.out.empty());
  }
}

TEST(Input, ATraceMayComeThroughAPipe) {
  const WorkDirectory here;
  const Outcome made =
      here.cmsim({"trace", "synthesize", "--requests", "3000", "--out", "made.jsonl"});
  ASSERT_EQ(made.code, 0) << made.err;
  const std::filesystem::path pipe = here / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::string bytes = content(here / "made.jsonl");
  std::thread writer;
  const Outcome converted = here.cmsim({"trace", "convert", "pipe"}, [&](pid_t) {
    writer = std::thread([&] { std::ofstream(pipe, std::ios::binary) << bytes; });
  });
  writer.join();
  EXPECT_EQ(converted.code, 0) << converted.err;
  EXPECT_TRUE(converted.out == bytes) << "rows were lost";
}

TEST(Input, LimitsCanBeSet) {
  const WorkDirectory here;
  ASSERT_EQ(here.cmsim({"trace", "synthesize", "--requests", "30", "--out", "made.jsonl"}).code, 0);
  const Outcome refused = here.cmsim({"trace", "inspect", "made.jsonl", "--max-bytes", "1kB"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("holds more than 1 kB"));
  const Outcome cut = here.cmsim({"trace", "convert", "made.jsonl", "--max-requests", "7"});
  EXPECT_EQ(std::count(cut.out.begin(), cut.out.end(), '\n'), 7);
}

TEST(Input, SynthesisHasAnEnd) {
  const WorkDirectory here;
  const Outcome slow = here.cmsim({"trace", "synthesize", "--requests", "5", "--rate", "1e-300"});
  EXPECT_EQ(slow.code, 2);
  EXPECT_THAT(slow.err, HasSubstr("--rate: found \"1e-300\""));
  EXPECT_TRUE(slow.out.empty());
}

}  // namespace
}  // namespace cmsim::cli
