// What is kept of points, what runs again, and the tables made of it.
#include "cmsim/study/store.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <fstream>

#include "cmsim/base/error.hpp"
#include "cmsim/study/database.hpp"
#include "cmsim/study/tables.hpp"

namespace cmsim::study {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Directory {
 public:
  Directory()
      : path_(std::filesystem::temp_directory_path() /
              ("cmsim_store." + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Two values of /x, two seeds; the result of a point is x * 10 + seed, and /x=3 cannot be.
Study study_of(const std::vector<std::string>& x) {
  Study study;
  study.file = "s.json";
  study.dimensions = {{{"/x", x}}};
  study.seeds = {1, 2};
  study.metrics = {{"y", "/y"}, {"word", "/word"}};
  return study;
}

std::vector<StudyPoint> points_of(const Study& study) {
  std::vector<StudyPoint> points = expand(study);
  for (StudyPoint& point : points) {
    point.digest = point.point.sets[0].substr(3) + "-" + std::to_string(*point.point.seed);
  }
  return points;
}

std::string work(const Point& point) {
  const int x = std::stoi(point.sets[0].substr(3));
  if (x == 3) throw ConfigError("/x: found 3, \"allowed\" is less");
  return "{\"y\": " + std::to_string(x * 10 + static_cast<int>(*point.seed)) + ", \"word\": \"w\"}";
}

std::vector<std::size_t> executed(const std::vector<StudyPoint>& points, const Store& store,
                                  ExecuteOptions options = {}) {
  std::vector<std::size_t> ran;
  options.runner.on_end = [&](std::size_t number, const Outcome&) { ran.push_back(number); };
  execute(points, store, work, options);
  return ran;
}

TEST(Store, RunsOnlyWhatIsMissing) {
  const Directory directory;
  const Store store(directory.path());
  EXPECT_THAT(executed(points_of(study_of({"1"})), store), ElementsAre(0u, 1u));
  EXPECT_THAT(executed(points_of(study_of({"1"})), store), ElementsAre());
  EXPECT_THAT(executed(points_of(study_of({"1", "2"})), store), ElementsAre(2u, 3u));
  std::filesystem::remove(store.folder("1-2") / "point.json");  // as a kill leaves it
  EXPECT_THAT(executed(points_of(study_of({"1", "2"})), store), ElementsAre(1u));
}

TEST(Store, AFailedPointIsKeptAndTriedAgainWhenAsked) {
  const Directory directory;
  const Store store(directory.path());
  const auto points = points_of(study_of({"3", "1"}));
  EXPECT_THAT(executed(points, store), ElementsAre(0u, 1u, 2u, 3u));
  const auto kept = store.find("3-1");
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->ending, Ending::kRefused);
  EXPECT_THAT(kept->error, HasSubstr("found 3"));
  EXPECT_THAT(executed(points, store), ElementsAre(0u, 1u));
  ExecuteOptions gather;
  gather.missing = Missing::kLeave;
  EXPECT_THAT(executed(points, store, gather), ElementsAre());
}

TEST(Store, PartsOfAStudyAreTheWhole) {
  const Directory directory;
  const Store store(directory.path());
  const auto points = points_of(study_of({"1", "2"}));
  ExecuteOptions part;
  part.shard = parse_shard("1/3");
  EXPECT_THAT(executed(points, store, part), ElementsAre(0u, 3u));
  part.shard = parse_shard("2/3");
  EXPECT_THAT(executed(points, store, part), ElementsAre(1u));
  EXPECT_THAT(executed(points, store), ElementsAre(2u));
  for (const char* wrong : {"0/3", "4/3", "1", "1/", "/3", "a/b", "1/3x"}) {
    EXPECT_THROW(parse_shard(wrong), ConfigError) << wrong;
  }
}

TEST(Store, EqualPointsRunOnce) {
  const Directory directory;
  auto points = points_of(study_of({"1", "2"}));
  points[3].digest = points[0].digest;
  EXPECT_THAT(executed(points, Store(directory.path())), ElementsAre(0u, 1u, 2u));
}

TEST(Store, SaysWhichFolderIsBroken) {
  const Directory directory;
  const Store store(directory.path());
  std::filesystem::create_directories(store.folder("1-1"));
  std::ofstream(store.folder("1-1") / "point.json") << "{";
  EXPECT_THAT([&] { store.find("1-1"); },
              ::testing::ThrowsMessage<OutputError>(HasSubstr("1-1/point.json: is no point")));
}

Table table_with(int jobs) {
  const Directory directory;
  ExecuteOptions options;
  options.runner.jobs = jobs;
  const Study study = study_of({"1", "3"});
  const auto points = points_of(study);
  return make_table(study, points, execute(points, Store(directory.path()), work, options));
}

TEST(Tables, TheCsvIsTheSameHoweverManyJobs) {
  const std::string csv = to_csv(table_with(1));
  EXPECT_EQ(csv, to_csv(table_with(3)));
  EXPECT_THAT(csv, HasSubstr("number,digest,state,seed,params_/x,values_y,values_word,"
                             "request_rate,ttft,"));
  EXPECT_THAT(csv, HasSubstr("\n0,1-1,done,1,1,11,w,"));
  EXPECT_THAT(csv, HasSubstr("\n2,3-1,failed,1,3,,,"));
  EXPECT_THAT(csv, HasSubstr(",\"/x: found 3, \"\"allowed\"\" is less\"\n"));
}

TEST(Tables, WhatAPointCostIsInATableOfItsOwn) {
  Table cheap = table_with(2), dear = table_with(2);
  dear.outcomes[0].attempts = 2;
  dear.outcomes[0].cpu = 1.25;
  dear.outcomes[0].peak_memory = 1000;
  dear.outcomes[1].ending = Ending::kNotEnded;
  cheap.outcomes[1] = dear.outcomes[1];
  EXPECT_EQ(to_csv(cheap), to_csv(dear));
  EXPECT_EQ(to_database(cheap), to_database(dear));
  const std::string costs = to_costs(dear);
  EXPECT_THAT(costs, HasSubstr("number,digest,attempts,cpu_s,peak_memory_bytes\n0,"));
  EXPECT_THAT(costs, HasSubstr(",2,1.250000,1000\n2,"));  // the second has not ended
}

TEST(Tables, TheDatabaseAnswersQuestions) {
  const std::string bytes = to_database(table_with(2));
  const Directory directory;
  std::filesystem::create_directories(directory.path());
  const std::string file = (directory.path() / "study.sqlite").string();
  std::ofstream(file, std::ios::binary) << bytes;
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(file.c_str(), &database), SQLITE_OK);
  const auto ask = [&](const std::string& sql) {
    std::string answer;
    sqlite3_exec(
        database, sql.c_str(),
        [](void* into, int columns, char** texts, char**) {
          for (int i = 0; i < columns; ++i) {
            static_cast<std::string*>(into)->append(texts[i] == nullptr ? "NULL" : texts[i]) += ";";
          }
          return 0;
        },
        &answer, nullptr);
    return answer;
  };
  EXPECT_EQ(ask("SELECT state, count(*) FROM points GROUP BY state ORDER BY state"),
            "done;2;failed;2;");
  // (11 + 12) / 2
  EXPECT_EQ(ask("SELECT avg(value) FROM \"values\" JOIN params USING (number) "
                "WHERE metric = 'y' AND quantity = 1"),
            "11.5;");
  EXPECT_EQ(ask("SELECT result ->> '$.y' FROM points WHERE digest = '1-2'"), "12;");
  EXPECT_EQ(ask("SELECT strict FROM pragma_table_list WHERE name = 'points'"), "1;");
  sqlite3_close(database);
}

TEST(Tables, TheDatabaseCanBeReadBack) {
  const std::string bytes = to_database(table_with(2));
  const Directory directory;
  std::filesystem::create_directories(directory.path());
  const auto file = directory.path() / kDatabase;
  std::ofstream(file, std::ios::binary) << bytes;
  const RecordedStudy study = read_database(file);
  EXPECT_EQ(study.command, "run");
  EXPECT_THAT(study.metrics, ElementsAre("word", "y"));
  ASSERT_EQ(study.points.size(), 4u);
  EXPECT_EQ(study.points[1].seed, 2);
  EXPECT_EQ(study.points[1].state, "done");
  EXPECT_THAT(study.points[1].result, HasSubstr("12"));
  EXPECT_EQ(study.points[2].cell, 1);
  EXPECT_EQ(study.points[2].state, "failed");
  EXPECT_EQ(study.points[2].result, "");
  EXPECT_THAT(study.points[2].params, ElementsAre(std::pair<std::string, std::string>("/x", "3")));
}

TEST(Tables, WhatIsNoDatabaseOfAStudyIsRefused) {
  const std::string whole = to_database(table_with(1));
  const Directory directory;
  std::filesystem::create_directories(directory.path());
  const auto refused = [&](const std::string& bytes) {
    std::ofstream(directory.path() / "x.sqlite", std::ios::binary) << bytes;
    return [&] { read_database(directory.path() / "x.sqlite"); };
  };
  const auto says = [](const char* text) {
    return ::testing::ThrowsMessage<ConfigError>(HasSubstr(text));
  };
  EXPECT_THAT(refused("no database at all, but long enough to be looked at"),
              says("x.sqlite: no database of a study"));
  EXPECT_THAT(refused(""), says("no such table: study"));
  EXPECT_THAT(refused(whole.substr(0, whole.size() / 2)), says("x.sqlite: no database of a study"));
}

TEST(Tables, AMetricThatNoResultHasIsTheAskersMistake) {
  const Directory directory;
  Study study = study_of({"1"});
  study.metrics.push_back({"z", "/z"});
  const auto points = points_of(study);
  const auto outcomes = execute(points, Store(directory.path()), work, {});
  EXPECT_THAT([&] { make_table(study, points, outcomes); },
              ::testing::ThrowsMessage<ConfigError>(HasSubstr("no result has a number or a text "
                                                              "at /z")));
}

}  // namespace
}  // namespace cmsim::study
