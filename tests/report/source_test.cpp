// What is taken for a run or a study, and what is refused.
#include "cmsim/report/source.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "cmsim/report/page.hpp"
#include "cmsim/study/database.hpp"
#include "cmsim/study/tables.hpp"
#include "tests/report/results.hpp"

namespace cmsim::report {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

TEST(Source, ARunIsItsDirectoryOrItsResult) {
  const Place place;
  place.write_run(small_result());
  for (const auto& named : {place.path(), place.path() / "result.json"}) {
    const Source source = load_source(named, no_machine);
    EXPECT_EQ(source.data["kind"], "run");
    EXPECT_EQ(source.data["requests"]["rows"], 4);
    EXPECT_TRUE(source.data["series"].is_null());
    EXPECT_EQ(source.data["machine"], Json({{"drawn", false}, {"why_not", "it lies elsewhere"}}));
  }
  std::filesystem::remove(place.path() / "requests.csv");
  EXPECT_TRUE(load_source(place.path(), no_machine).data["requests"].is_null());
}

TEST(Source, DetailsOfEveryRequestStayInTheResult) {
  const Place place;
  Json result = small_result();
  result["itls"] = {{1, 2}};
  place.write_run(result);
  EXPECT_FALSE(load_source(place.path(), no_machine).data["result"].contains("itls"));
}

TEST(Source, WhatIsNoResultIsRefused) {
  const Place place;
  const auto refused = [&](const std::string& text) {
    place.write("result.json", text);
    return [&] { load_source(place.path(), no_machine); };
  };
  EXPECT_THAT(refused("{"), says("result.json: no JSON"));
  EXPECT_THAT(refused("{\"a\": 1}"), says("no result of cmsim: found keys a"));
  EXPECT_THAT(refused(R"({"duration_us": 1, "operators": []})"),
              says("the result of `cmsim step`"));
  Json result = small_result();
  result["window"].erase("slo");
  EXPECT_THAT(refused(result.dump()), says("/window/slo: missing; this is no whole result"));
  result = small_result();
  result["provenance"]["version"] = "0.0.9";
  EXPECT_THAT(refused(result.dump()), says("was written by cmsim 0.0.9, this is cmsim"));
}

TEST(Source, RequestsOfAnotherRunAreRefused) {
  const Place place;
  place.write_run(small_result());
  place.write("requests.csv", kRequests + "4\n");
  EXPECT_THAT([&] { load_source(place.path(), no_machine); },
              says("requests.csv: not the file that"));
}

TEST(Source, ADirectoryOfNeitherIsRefused) {
  const Place place;
  EXPECT_THAT([&] { load_source(place.path(), no_machine); },
              says("neither the directory of a run"));
  std::filesystem::create_directory(place.path() / "points");
  EXPECT_THAT([&] { load_source(place.path(), no_machine); }, says("half a study"));
  EXPECT_THAT([&] { load_source(place.path() / "none", no_machine); }, says("none"));
}

TEST(Source, TheMachineIsDrawnWithItsLoad) {
  const Place place;
  place.write_run(small_result());
  const auto platform = hw::load_platform(CMSIM_SOURCE_DIR "/platforms/cloudmatrix384.json");
  const Source source = load_source(place.path(), [&](const Json&) {
    return Machine{platform, {{0, 1}}, {{2}}};
  });
  EXPECT_EQ(source.data["machine"]["drawn"], true);
  EXPECT_THAT(source.drawing, HasSubstr("die:0, busy 50 %"));
  EXPECT_THAT(source.drawing, HasSubstr("die:2, busy 75 %"));
  EXPECT_THAT(source.drawing, HasSubstr("die:3, busy 0 %"));
  EXPECT_THAT(source.drawing, HasSubstr("die_ub: 10,752 links of 28 GB/s, one way, busy 50 %"));
}

/// A study of an axis of so many values with two seeds; its TPOT is 10 times the value + the seed.
study::Table table_of(int values) {
  study::Study study;
  study.file = "a.json";
  study::Axis axis{"/x", {}};
  for (int i = 1; i <= values; ++i) axis.values.push_back(std::to_string(i));
  study.dimensions = {{axis}};
  study.seeds = {1, 2};
  study.metrics = {study::find_metric("tpot", "run")};
  std::vector<study::StudyPoint> points = study::expand(study);
  std::vector<study::Outcome> outcomes(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    points[i].digest = std::to_string(i);
    Json result = small_result();
    result["window"]["tpot_ms"]["mean"] =
        10.0 * static_cast<double>(i / 2 + 1) + static_cast<double>(i % 2 + 1);
    outcomes[i].ending = Ending::kDone;
    outcomes[i].result = result.dump();
  }
  return study::make_table(study, points, outcomes);
}

TEST(Source, AStudyHasCellsWithIntervalsAndChanges) {
  const Place place;
  place.write(study::kDatabase, study::to_database(table_of(2)));
  const Json data = load_source(place.path(), no_machine).data;
  EXPECT_EQ(data["kind"], "study");
  EXPECT_EQ(data["axes"][0]["values"], Json({"1", "2"}));
  EXPECT_EQ(data["states"]["done"], 4);
  ASSERT_EQ(data["cells"].size(), 2u);
  std::size_t tpot = 0;
  while (data["metrics"][tpot]["name"] != "tpot") ++tpot;
  const Json &figure = data["cells"][1]["figures"][tpot],
             &change = data["cells"][1]["changes"][tpot];
  EXPECT_EQ(figure["mean"], 21.5);  // of 21 and 22
  // t(0.975, 1 degree of freedom) = 12.706 x 0.7071 / sqrt(2)
  EXPECT_NEAR(figure["half"].get<double>(), 6.353, 0.001);
  EXPECT_NEAR(change["relative"].get<double>(), 10 / 11.5, 1e-6);
  EXPECT_EQ(change["half"], 0);  // every pair differs by 10
}

TEST(Source, AStudyOfAThousandPointsIsASmallPage) {
  const Place place;
  place.write(study::kDatabase, study::to_database(table_of(500)));
  const std::string text =
      page(std::vector{load_source(place.path() / study::kDatabase, no_machine)});
  EXPECT_LT(text.size(), 2'000'000u);
}

TEST(Source, AStudyOfAnotherVersionIsRefused) {
  const Place place;
  std::string bytes = study::to_database(table_of(1));
  bytes.replace(bytes.find(std::string("version") + kVersion) + 7, std::string(kVersion).size(),
                "9.9.9");
  place.write("x.sqlite", bytes);
  EXPECT_THAT([&] { load_source(place.path() / "x.sqlite", no_machine); },
              says("was written by cmsim 9.9.9"));
}

}  // namespace
}  // namespace cmsim::report
