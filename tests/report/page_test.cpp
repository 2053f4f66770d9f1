#include "cmsim/report/page.hpp"

#include <gmock/gmock.h>

#include "src/report/embedded.hpp"

namespace cmsim::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Source named(const std::string& name) { return {{{"kind", "run"}, {"name", name}}, ""}; }

std::string between(const std::string& text, const std::string& open, const std::string& close) {
  const std::size_t from = text.find(open) + open.size();
  return text.substr(from, text.find(close, from) - from);
}

TEST(Page, NamesOfTheUserCannotLeaveTheirPlace) {
  const std::string name = "a</script><script>alert('1')</script>\"&<!--\u2028";
  const std::string text = page(std::vector{named(name)});
  EXPECT_THAT(between(text, "<title>", "</title>"), Not(HasSubstr("<script")));
  const std::string data = between(text, "id=\"data\">", "</script>");
  EXPECT_THAT(data, Not(HasSubstr("<")));
  EXPECT_EQ(nlohmann::json::parse(data).at("sources").at(0).at("name"), name);
}

TEST(Page, BytesThatAreNoUtf8AreReplaced) {
  const std::string text = page(std::vector{named("a\xff")});
  const auto data = nlohmann::json::parse(between(text, "id=\"data\">", "</script>"));
  EXPECT_EQ(data.at("sources").at(0).at("name"), "a\uFFFD");
}

TEST(Page, LoadsNothingAndNamesTheLicenceOfTheCharts) {
  const std::string text = page(std::vector{named("a")});
  EXPECT_THAT(text, HasSubstr("default-src 'none'"));
  EXPECT_THAT(text, Not(HasSubstr("src=\"http")));
  EXPECT_THAT(text, Not(HasSubstr("href=\"http")));
  EXPECT_THAT(text, HasSubstr("MIT licence"));
  EXPECT_THAT(text, HasSubstr(std::string(chart_library().substr(0, 40))));
  EXPECT_THAT(text, Not(HasSubstr("{{")));
}

TEST(Page, HasTheDrawingOfEverySourceThatHasOne) {
  const std::string text = page(std::vector<Source>{named("a"), {{{"name", "b"}}, "<svg>b</svg>"}});
  EXPECT_THAT(text, HasSubstr("id=\"drawing-1\"><svg>b</svg></script>"));
  EXPECT_THAT(text, Not(HasSubstr("id=\"drawing-0\"")));
}

}  // namespace
}  // namespace cmsim::report
