#include "cmsim/base/json_text.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace cmsim {
namespace {

TEST(JsonText, HasTwelveSignificantDigits) {
  EXPECT_EQ(number_text(1.0 / 3), "0.333333333333");
  EXPECT_EQ(number_text(2e6 / 3), "666666.666667");
  EXPECT_EQ(number_text(-1e-7 / 3), "-3.33333333333e-08");
  EXPECT_EQ(number_text(50), "50");
  EXPECT_EQ(number_text(0.1 + 0.2), "0.3");  // 0.30000000000000004
}

TEST(JsonText, IsTheSameWhenTheLastBitsDiffer) {
  const double here = std::exp(1.0), there = std::nextafter(std::nextafter(here, 3.0), 3.0);
  ASSERT_NE(here, there);
  EXPECT_EQ(to_12_digits(here), to_12_digits(there));
  EXPECT_EQ(json_text({{"a", here}}), json_text({{"a", there}}));
}

TEST(JsonText, CountsAreWhole) {
  // 2^53 - 1 has 16 digits.
  EXPECT_EQ(to_12_digits(9007199254740991.0), 9007199254740991.0);
  EXPECT_EQ(to_12_digits(1234567890123456.0), 1234567890123456.0);
  EXPECT_EQ(to_12_digits(0x1p60), 1.15292150461e18);  // 1152921504606846976
  EXPECT_EQ(json_text({{"n", std::int64_t{9007199254740993}}}, JsonLayout::kOneLine),
            R"({"n":9007199254740993})");
}

TEST(JsonText, ReachesEveryNumberAndNothingElse) {
  const nlohmann::ordered_json value{
      {"text", "0.30000000000000004"}, {"list", {0.1 + 0.2, {{"x", 0.1 + 0.2}}}}, {"whole", 50.0}};
  EXPECT_EQ(json_text(value, JsonLayout::kOneLine),
            R"({"text":"0.30000000000000004","list":[0.3,{"x":0.3}],"whole":50.0})");
  EXPECT_EQ(json_text({{"a", 1}}), "{\n  \"a\": 1\n}");
}

TEST(JsonText, LeavesWhatIsNotFiniteAlone) {
  EXPECT_TRUE(std::isnan(to_12_digits(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_EQ(number_text(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(to_12_digits(std::numeric_limits<double>::denorm_min()),
            std::numeric_limits<double>::denorm_min());  // 4.94065645841e-324
}

}  // namespace
}  // namespace cmsim
