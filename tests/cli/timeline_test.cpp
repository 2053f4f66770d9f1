// The timeline of a run as a user meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/cli/process.hpp"
#include "tests/metrics/nesting.hpp"

namespace cmsim::cli {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSixty =
    R"(/workload={"requests": 60, "prompt_length": 2000, "output_length": 50,
        "arrivals": {"kind": "poisson", "rate": 20}})";

TEST(TimelineOption, ATimelineNestsAndMovesNothing) {
  const WorkDirectory here;
  const std::vector<std::string> plain{"run",    kScenario, "--set", kSixty,
                                       "--fail", "plane:3", "--json"};
  std::vector<std::string> traced = plain;
  traced.insert(traced.end(), {"--timeline", "t.json", "--timeline-sample", "2",
                               "--timeline-window", "0s..1min"});
  const Outcome without = here.cmsim(plain), with = here.cmsim(traced);
  EXPECT_EQ(with.out, without.out);
  EXPECT_EQ(with.err, "wrote t.json: open it at https://ui.perfetto.dev\n");
  const auto trace = nlohmann::json::parse(content(here / "t.json"));
  EXPECT_EQ(metrics::first_misfit(trace), "");
  std::map<std::string, int> names;
  for (const auto& event : trace["traceEvents"]) {
    const std::string name = event["name"];
    ++names[name.starts_with("request ") ? "request" : name];
  }
  EXPECT_EQ(names["request"], 30);  // of 60
  EXPECT_GT(names["batch"], 0);
  EXPECT_GT(names["step"], 49);  // 50 output tokens at most 2 a step, one request after the other
  EXPECT_EQ(names["kv_pull"], 30);
  EXPECT_EQ(names["plane:3"], 1);
}

TEST(TimelineOption, ATimelineThatCannotBeIsRefusedBeforeTheRun) {
  const WorkDirectory here;
  const auto refused = [&](const std::vector<std::string>& more, const std::string& why) {
    std::vector<std::string> words{"run", kScenario};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome run = here.cmsim(words);
    EXPECT_EQ(run.code, 2);
    EXPECT_THAT(run.err, HasSubstr(why));
  };
  refused({"--timeline", "no/where.json"}, "no/where.json");
  refused({"--timeline-sample", "2"}, "has no effect without --timeline FILE");
  refused({"--timeline", "t.json", "--timeline-window", "5s"}, "expected FROM..TO");
  refused({"--timeline", "t.json", "--timeline-window", "5s..2s"}, "an end after it");
  refused({"--timeline", "t.json", "--timeline-window", "5..9s"}, "--timeline-window 5..9s: ");
  refused({"--timeline", "t.json", "--seeds", "1..2"}, "--timeline: has no effect with --seeds");
}

}  // namespace
}  // namespace cmsim::cli
