#include "src/report/csv_columns.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/report/results.hpp"

namespace cmsim::report {
namespace {

using ::testing::ElementsAre;

TEST(CsvColumns, ReadsThoseThatAreAskedFor) {
  const CsvColumns columns = read_columns("a,word,b\n1,x,2.5\n3,y,\n", "f.csv", {"b", "a"});
  EXPECT_EQ(columns.rows(), 2u);
  EXPECT_THAT(columns.of("a"), ElementsAre(1, 3));
  EXPECT_EQ(columns.of("b")[0], 2.5);
  EXPECT_TRUE(std::isnan(columns.of("b")[1]));
}

TEST(CsvColumns, NamesTheLineOfWhatIsWrong) {
  EXPECT_THAT([] { read_columns("a,b\n1,2\n", "f.csv", {"c"}); },
              says("f.csv:1: no column c, found a, b"));
  EXPECT_THAT([] { read_columns("a,b\n1,2\n1,x\n", "f.csv", {"b"}); },
              says("f.csv:3: column b: found \"x\", expected a number"));
  EXPECT_THAT([] { read_columns("a,b\n1\n", "f.csv", {"b"}); },
              says("f.csv:2: found 1 cells, expected 2"));
}

}  // namespace
}  // namespace cmsim::report
