// Axes, seeds and metrics as they are written; cells and points in their order; addresses.
#include "cmsim/study/study.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"
#include "cmsim/study/digest.hpp"
#include "tests/study/points.hpp"

namespace cmsim::study {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

std::vector<std::string> values(const std::string& text) { return parse_values(text, "--vary"); }

TEST(Axis, ListsAndRanges) {
  EXPECT_THAT(values("15ms,50ms"), ElementsAre("15ms", "50ms"));
  // (40 - 10) / 3 = 10 apart.
  EXPECT_THAT(values("10GB/s..40GB/s:4"), ElementsAre("10GB/s", "20GB/s", "30GB/s", "40GB/s"));
  // (2 - 0.5) / 3 = 0.5 apart, in the unit of the upper end.
  EXPECT_THAT(values("500MB/s..2GB/s:4"), ElementsAre("0.5GB/s", "1GB/s", "1.5GB/s", "2GB/s"));
  EXPECT_THAT(values("0.1..0.3:3"), ElementsAre("0.1", "0.2", "0.3"));
  // (16 / 1)^(1/4) = 2 between neighbours.
  EXPECT_THAT(values("log:1..16:5"), ElementsAre("1", "2", "4", "8", "16"));
  EXPECT_THAT(values("2..4"), ElementsAre("2", "3", "4"));
  EXPECT_THAT(values("1,4..6,9"), ElementsAre("1", "4", "5", "6", "9"));
}

TEST(Axis, CommasWithinJsonAndDotsOfPathsSeparateNothing) {
  EXPECT_THAT(values(R"({"a": [1,2], "b": "x,}"},fcfs)"),
              ElementsAre(R"({"a": [1,2], "b": "x,}"})", "fcfs"));
  EXPECT_THAT(values("../a.jsonl,../b.jsonl"), ElementsAre("../a.jsonl", "../b.jsonl"));
}

TEST(Axis, RefusesWhatIsNone) {
  const auto refused = [](const std::string& text, const std::string& why) {
    EXPECT_THAT([&] { parse_axis(text, "--vary"); }, ThrowsMessage<ConfigError>(HasSubstr(why)))
        << text;
  };
  refused("/a", "expected /pointer=");
  refused("a=1", "expected /pointer=");
  refused("/a=1,,2",
          "an empty value; values are separated by commas, an empty text is written \"\"");
  refused("/a=1,1", "1 comes twice");
  refused("/a=4..2", "the lowest first");
  refused("/a=1.5..2", "how many values");
  refused("/a=1..2:1", "allowed 2 to");
  refused("/a=1GB/s..2:3", "a unit of the same quantity");
  for (const char* open : {"\"x", "x,\"y\\", "{1,2", "[1]],2"}) {
    refused(std::string("/a=") + open, "without its other half");
  }
  refused("/a=log:0..2:3", "above 0");
}

TEST(Axis, Seeds) {
  EXPECT_THAT(parse_seeds("1..3,7", "--seeds"), ElementsAre(1u, 2u, 3u, 7u));
  EXPECT_THROW(parse_seeds("1..3,2", "--seeds"), ConfigError);
  EXPECT_THROW(parse_seeds("-1", "--seeds"), ConfigError);
  EXPECT_THROW(parse_seeds("x", "--seeds"), ConfigError);
}

TEST(Axis, NumbersOfValues) {
  EXPECT_DOUBLE_EQ(*numeric_value("28GB/s"), 2.8e10);
  EXPECT_DOUBLE_EQ(*numeric_value("15ms"), 0.015);
  EXPECT_DOUBLE_EQ(*numeric_value("0.7"), 0.7);
  EXPECT_FALSE(numeric_value("least_loaded"));
  EXPECT_FALSE(numeric_value("3apples"));
}

TEST(Metric, ByNameByPointerByKey) {
  EXPECT_EQ(find_metric("goodput", "run").better, Better::kHigher);
  EXPECT_EQ(find_metric("/prefill/occupancy", "run").pointer, "/prefill/occupancy");
  EXPECT_EQ(find_metric("total_input_tokens", "run").pointer, "/total_input_tokens");
  EXPECT_THAT([] { find_metric("godput", "run"); },
              ThrowsMessage<ConfigError>(HasSubstr("goodput, output_throughput")));
  EXPECT_EQ(find_metric("e2e", "run").pointer, "/window/e2el_ms/mean");
  EXPECT_EQ(find_metric("p99_ttft_ms", "run").pointer, "/p99_ttft_ms");
  EXPECT_THAT([] { find_metric("tpo", "run", "--pareto"); },
              ThrowsMessage<ConfigError>(
                  AllOf(StartsWith("--pareto tpo: "), EndsWith("; did you mean tpot?"))));
}

TEST(Metric, IsCheckedAgainstTheShapeOfAResult) {
  const auto check = [](const std::string& text, const std::string& command) {
    check_metrics(shape_of(command), {find_metric(text, command)}, command);
  };
  for (const char* known :
       {"/window/kv/peak_occupancy", "/window/decode/hbm/utilisation", "/load/waiting_by_third/0",
        "/window/binds/0/share", "/requests/by_reason/any", "/window/phases/any/mean_ms",
        "/breakdown/decode/critical_path_us/MLP", "/whole_run/itl_ms/max", "/load/decode/rho"}) {
    EXPECT_NO_THROW(check(known, "run")) << known;
  }
  for (const char* unknown : {"/window/tpot_ms", "/window/tpot_ms/mea", "/windo/kv", "/no/such"}) {
    EXPECT_THROW(check(unknown, "run"), ConfigError) << unknown;
  }
  EXPECT_NO_THROW(check("/anything", "step"));
}

TEST(Metric, ValuesAreNumbersTextsOrNothing) {
  const auto result = nlohmann::json::parse(R"({"a": 2, "b": true, "c": "stable", "d": null})");
  const auto at = [&](const char* key) { return value_of(result, {key, std::string("/") + key}); };
  EXPECT_EQ(std::get<double>(at("a")), 2);
  EXPECT_TRUE(std::get<bool>(at("b")));
  EXPECT_EQ(std::get<std::string>(at("c")), "stable");
  EXPECT_TRUE(std::holds_alternative<Nothing>(at("d")));
  EXPECT_TRUE(std::holds_alternative<Nothing>(at("e")));
}

Study two_by_three() {
  Study study;
  study.file = "s.json";
  study.sets = {"/x=0"};
  study.dimensions = {{{"/a", {"1", "2"}}}, {{"/b", {"u", "v", "w"}}, {"/c", {"7", "8", "9"}}}};
  study.seeds = {4, 5};
  return study;
}

TEST(Study, CellsAreANestedLoopAndPointsReplicateThem) {
  const auto points = expand(two_by_three());
  ASSERT_EQ(points.size(), 12u);  // 2 x 3 cells x 2 seeds; /c advances with /b
  EXPECT_THAT(points[0].point.sets, ElementsAre("/x=0", "/a=1", "/b=u", "/c=7"));
  EXPECT_EQ(points[0].point.seed, 4u);
  EXPECT_EQ(points[1].point.seed, 5u);
  EXPECT_EQ(points[1].cell, 0u);
  EXPECT_THAT(points[2].point.sets, ElementsAre("/x=0", "/a=1", "/b=v", "/c=8"));
  EXPECT_THAT(points[11].point.sets, ElementsAre("/x=0", "/a=2", "/b=w", "/c=9"));
  EXPECT_EQ(points[11].cell, 5u);
  Study plain;
  plain.file = "s.json";
  EXPECT_EQ(expand(plain).size(), 1u);
}

/// A directory that is the working one for as long as this lives.
class Workplace {
 public:
  Workplace() {
    std::filesystem::create_directories(place_);
    std::filesystem::current_path(place_);
  }
  ~Workplace() {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(place_);
  }
  const std::filesystem::path& path() const { return place_; }

 private:
  const std::filesystem::path before_ = std::filesystem::current_path();
  const std::filesystem::path place_ =
      std::filesystem::temp_directory_path() / ("cmsim_study." + std::to_string(::getpid()));
};

TEST(Study, ItsFileNamesFilesWhateverTheWorkingDirectory) {
  const Workplace here;
  for (const char* file : {"t.jsonl", "p.json", "m.json"}) std::ofstream(file) << "{}";
  Study study;
  study.file = small_point(1).file;
  study.sets = {"/platform=p.json", "/slo/tpot=15ms"};
  study.options = {"--model", "m.json"};
  study.dimensions = {{{"/workload/trace", {"t.jsonl", "gone.jsonl"}}},
                      {{kAlternatives, {"", "/workload/trace=t.jsonl"}}}};
  std::ofstream("study.json") << to_json(study);
  const Study read = read_study(here.path() / "study.json");
  const std::string place = here.path().string() + "/";
  EXPECT_EQ(read.file, study.file);
  EXPECT_THAT(read.sets, ElementsAre("/platform=" + place + "p.json", "/slo/tpot=15ms"));
  EXPECT_THAT(read.options, ElementsAre("--model", place + "m.json"));
  // One that is not there may be meant from where the scenario lies.
  EXPECT_THAT(read.dimensions[0][0].values, ElementsAre(place + "t.jsonl", "gone.jsonl"));
  EXPECT_THAT(read.dimensions[1][0].values,
              ElementsAre("", "/workload/trace=" + place + "t.jsonl"));
}

TEST(Study, AFileWithAValueTwiceIsRefused) {
  const Workplace here;
  std::ofstream("study.json") << R"({"scenario": "s.json", "vary": {"/a": [1, 2, 1]}})";
  EXPECT_THAT([] { read_study("study.json"); },
              ThrowsMessage<ConfigError>(HasSubstr("study.json:1: /vary/~1a: 1 comes twice")));
}

// Cells of axes that advance together differ as a whole.
TEST(Study, AxesThatAdvanceTogetherMayRepeatAValue) {
  const Workplace here;
  std::ofstream("study.json")
      << R"({"scenario": "s.json", "zip": {"/a": [1, 1, 2], "/b": "x,y,y"}})";
  const Study read = read_study("study.json");
  EXPECT_THAT(read.dimensions[0][0].values, ElementsAre("1", "1", "2"));
  EXPECT_THAT(read.dimensions[0][1].values, ElementsAre("x", "y", "y"));
}

TEST(Study, RefusesWhatNoStudyCanBe) {
  Study study = two_by_three();
  study.dimensions[1][1].values.pop_back();
  EXPECT_THAT([&] { check(study); },
              ThrowsMessage<ConfigError>(HasSubstr("/b has 3 values and /c has 2")));
  study = two_by_three();
  study.dimensions.push_back({{"/b", {"1"}}});
  EXPECT_THAT([&] { check(study); }, ThrowsMessage<ConfigError>(HasSubstr("varied twice")));
  study = two_by_three();
  study.command = "trace";
  EXPECT_THROW(check(study), ConfigError);
  study = two_by_three();
  for (int i = 0; i < 20; ++i) study.dimensions.push_back({{"/d" + std::to_string(i), {"1", "2"}}});
  EXPECT_THAT([&] { expand(study); }, ThrowsMessage<ConfigError>(HasSubstr("1000000 points")));
}

TEST(Study, TheAddressOfAPointIsOfWhatItDependsOn) {
  ScenarioFiles files;
  PointDigests digests(files, "salt");
  const Point point = small_point(1);
  const std::string digest = digests.of(point);
  EXPECT_EQ(digest.size(), 16u);
  EXPECT_EQ(digest, digests.of(point));
  Point same = point;  // the seed of the file is 1, as is that of the point
  same.seed.reset();
  EXPECT_EQ(digest, digests.of(same));
  Point other = point;
  other.seed = 2;
  EXPECT_NE(digest, digests.of(other));
  other = point;
  other.sets.emplace_back("/slo/tpot=15ms");
  EXPECT_NE(digest, digests.of(other));
  other = point;
  other.command = "step";
  EXPECT_NE(digest, digests.of(other));
  PointDigests later(files, "another program");
  EXPECT_NE(digest, later.of(point));
}

}  // namespace
}  // namespace cmsim::study
