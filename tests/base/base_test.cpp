#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cmsim/base/config.hpp"
#include "cmsim/base/random.hpp"
#include "cmsim/base/units.hpp"
#include "cmsim/base/utf8.hpp"
#include "tests/base/support.hpp"

namespace cmsim {
namespace {

using ::testing::HasSubstr;

TEST(Units, ReadsTheSpellingsOfTheHeader) {
  EXPECT_DOUBLE_EQ(parse_quantity("28GB/s", Dimension::kBandwidth), 2.8e10);
  EXPECT_DOUBLE_EQ(parse_quantity("224Gbps", Dimension::kBandwidth), 2.8e10);  // 224e9 / 8
  EXPECT_DOUBLE_EQ(parse_quantity("1.9us", Dimension::kTime), 1.9e-6);
  EXPECT_DOUBLE_EQ(parse_quantity("7.5KiB", Dimension::kBytes), 7680);  // 7.5 * 1024
  EXPECT_DOUBLE_EQ(parse_quantity("70%", Dimension::kNumber), 0.7);
  EXPECT_DOUBLE_EQ(parse_quantity("376 TFLOPS", Dimension::kOpsRate), 3.76e14);
}

TEST(Units, SaysWhatIsAllowed) {
  EXPECT_THAT(error_of([] { parse_quantity("28", Dimension::kBandwidth); }),
              HasSubstr("without a unit"));
  EXPECT_THAT(error_of([] { parse_quantity("28GB", Dimension::kBandwidth); }),
              HasSubstr("found unit \"GB\""));
  EXPECT_THAT(error_of([] { parse_quantity("fast", Dimension::kTime); }),
              HasSubstr("expected a number"));
  EXPECT_THAT(error_of([] { parse_quantity("1e999s", Dimension::kTime); }),
              HasSubstr("expected a number"));
}

TEST(Units, NothingIsOutOfTheRangeOfItsDimension) {
  EXPECT_THAT(error_of([] { parse_quantity("1e30TB/s", Dimension::kBandwidth); }),
              HasSubstr("found \"1e30TB/s\", allowed is 0 B/s to "));
  EXPECT_THAT(error_of([] { parse_quantity("-1GB", Dimension::kBytes); }),
              HasSubstr("allowed is 0"));
  EXPECT_THAT(error_of([] { parse_quantity("1e19B", Dimension::kBytes); }),
              HasSubstr("to 9.007 PB"));
  EXPECT_THAT(error_of([] { parse_quantity("1e11s", Dimension::kTime); }), HasSubstr("1e+10 s"));
}

TEST(Units, SizesAreWholeBytes) {
  EXPECT_EQ(parse_bytes("1000000"), 1'000'000);
  EXPECT_EQ(parse_bytes("64MB"), 64'000'000);
  EXPECT_EQ(parse_bytes("1.1GB"), 1'100'000'000);
  EXPECT_EQ(parse_bytes("9007199254740992B"), std::int64_t{1} << 53);  // the most there is
  for (const char* text :
       {"", "many", "1e30TB", "99999999999999999999", "-1", "1s", "0.4B", "1.0005kB"}) {
    EXPECT_THROW(parse_bytes(text), UnitError) << text;
  }
}

TEST(Units, FormatsWithAPrefix) {
  EXPECT_EQ(format_quantity(2.8e10, Dimension::kBandwidth), "28 GB/s");
  EXPECT_EQ(format_quantity(1.9e-6, Dimension::kTime), "1.9 us");
}

TEST(Config, NamesFileLineAndPointerOfAnUnknownKey) {
  const auto document = ConfigDocument::from_text("{\n  // a comment\n  \"sede\": 1\n}", "s.json");
  const ConfigNode root(document);
  root.integer_or("seed", 1);
  EXPECT_EQ(error_of([&] { root.close(); }),
            "s.json:3: /sede: unknown key, did you mean \"seed\"?");
}

TEST(Config, WhatIsSetIsHeldToTheRulesOfAFile) {
  auto document = ConfigDocument::from_text("{}", "s.json");
  EXPECT_THAT(error_of([&] { document.apply_set(R"(/workload={"requests": 1, "requests": 2})"); }),
              HasSubstr("key \"requests\" is written twice"));
  const std::string deep(100, '[');
  EXPECT_THAT(error_of([&] { document.apply_set("/a=" + deep + std::string(100, ']')); }),
              HasSubstr("nested deeper than 64 levels"));
  std::string pointer;
  for (int level = 0; level < 70; ++level) pointer += "/a";
  EXPECT_THAT(error_of([&] { document.apply_set(pointer + "=1"); }),
              HasSubstr("nested deeper than 64 levels"));
  for (const auto& [set, at] : {std::pair{"/seed/a=1", "/seed"}, {"//a=1", "/"}, {"/=1", "/"}}) {
    auto other = ConfigDocument::from_text("{}", "s.json");
    other.apply_set(set, "--set");  // what it makes on its way is its own, too
    EXPECT_THAT(error_of([&] { ConfigNode(other).close(); }),
                ::testing::StartsWith(std::string("--set: ") + at + ": unknown key"));
  }
  document.apply_set("/a=1e999");  // no JSON number: a text, which no getter of numbers takes
  EXPECT_EQ(document.value()["a"], "1e999");
}

TEST(Config, ReadsAnnotatedAndPlainParametersAlike) {
  const auto document = ConfigDocument::from_text(
      R"({"a": {"value": "28GB/s", "source": "P"}, "b": "28GB/s", "c": {"value": 1, "sorce": ""}})",
      "p.json");
  const ConfigNode root(document);
  EXPECT_EQ(root.quantity("a", Dimension::kBandwidth), root.quantity("b", Dimension::kBandwidth));
  EXPECT_THAT(error_of([&] { root.integer("c"); }), HasSubstr("/c/sorce: unknown key"));
}

TEST(Config, ReportsTypeRangeAndSyntax) {
  const auto document = ConfigDocument::from_text("{\"n\": -1,\n\"t\": \"5 parsec\"}", "x.json");
  const ConfigNode root(document);
  EXPECT_EQ(error_of([&] { root.integer("n", 0); }),
            "x.json:1: /n: found -1, allowed is at least 0");
  EXPECT_THAT(error_of([&] { root.quantity("t", Dimension::kTime); }),
              HasSubstr("x.json:2: /t: found unit \"parsec\""));
  EXPECT_THAT(error_of([&] { root.text("n"); }), HasSubstr("expected a text"));
  EXPECT_THAT(error_of([&] { root.number("gone"); }), HasSubstr("missing"));
  EXPECT_THAT(error_of([] { ConfigDocument::from_text("{\n\"a\": 1,\n}}", "y.json"); }),
              HasSubstr("y.json:3: not valid JSON"));
  EXPECT_THAT(error_of([] { ConfigDocument::from_text(R"({"a":1,"a":2})", "y.json"); }),
              HasSubstr("written twice"));
  EXPECT_THAT(error_of([] { ConfigDocument::from_text(R"({"a\u0062":1,"ab":2})", "y.json"); }),
              HasSubstr("key \"ab\" is written twice"));
  EXPECT_THAT(error_of([] { ConfigDocument::from_file("/nonexistent/x.json"); }),
              HasSubstr("no such file"));
}

TEST(Config, SetsValuesAndNamesTheirOrigin) {
  auto document = ConfigDocument::from_text(R"({"slo": {"tpot": "50ms"}, "seed": 1})", "s.json");
  document.apply_set("/slo/tpot=15ms");
  document.apply_set("/decode/mtp/draft_tokens=0");
  const ConfigNode root(document);
  EXPECT_DOUBLE_EQ(root.child("slo").quantity("tpot", Dimension::kTime), 0.015);
  EXPECT_EQ(root.child("decode").child("mtp").integer("draft_tokens"), 0);
  document.apply_set("/slo/tpot=fast");
  EXPECT_THAT(
      error_of([&] { ConfigNode(document).child("slo").quantity("tpot", Dimension::kTime); }),
      HasSubstr("--set /slo/tpot=fast: /slo/tpot:"));
  EXPECT_THAT(error_of([&] { document.apply_set("seed=2"); }),
              HasSubstr("expected /pointer=value"));
  EXPECT_THAT(error_of([&] { document.apply_set("/seed/x=2"); }), HasSubstr("not an object"));
}

TEST(Units, RefusesWhatOverflows) {
  // 1e308 GB would be 1e317 B, beyond the largest double (1.8e308).
  EXPECT_THROW(parse_quantity("1e308GB", Dimension::kBytes), UnitError);
}

TEST(Config, ReadsKeysThatPointersEscape) {
  const auto document = ConfigDocument::from_text(R"({"a~/b": {"c": 1, "d": 2}})", "s.json");
  const ConfigNode node = ConfigNode(document).child("a~/b");
  EXPECT_EQ(node.integer("c"), 1);
  EXPECT_EQ(node.where("c").pointer, "/a~0~1b/c");  // RFC 6901: ~ is ~0, / is ~1
}

TEST(Random, StreamsAreNamedAndIndependent) {
  RandomStream a(1, "work/arrivals"), again(1, "work/arrivals"), other(1, "work/lengths"),
      reseeded(2, "work/arrivals");
  const double first = a.uniform();
  EXPECT_EQ(first, again.uniform());
  EXPECT_NE(first, other.uniform());
  EXPECT_NE(first, reseeded.uniform());
}

TEST(ConfigLayers, TheUpperHasTheLastWord) {
  auto document = ConfigDocument::from_text(
      R"({"a": {"b": 1, "c": 2}, "d": [1, 2], "e": {"value": 1, "source": "x"}, "f": 3})",
      "low.json");
  document.overlay(ConfigDocument::from_text(
      "{\n\"a\": {\"b\": 9}, \"d\": [3],\n\"e\": {\"value\": 2}, \"f\": null}", "high.json"));
  document.begin_layer();
  document.apply_set("/a/c=7");
  // A list and a value with its origin are replaced whole; null takes away.
  EXPECT_EQ(document.value(),
            nlohmann::json::parse(R"({"a": {"b": 9, "c": 7}, "d": [3], "e": {"value": 2}})"));
  EXPECT_EQ(document.layer("/a"), 0);
  EXPECT_EQ(document.layer("/a/b"), 1);
  EXPECT_EQ(document.layer("/a/c"), 2);
  EXPECT_EQ(document.layer("/a/none"), 0);  // left out by who gave /a
  EXPECT_EQ(document.layer("/f"), 1);       // taken away
  EXPECT_EQ(document.location("/a/b").file, "high.json");
  EXPECT_EQ(document.location("/a/b").line, 2);
  EXPECT_EQ(document.location("/e/value").line, 3);
  EXPECT_EQ(document.parameters(""), (std::vector<std::string>{"/a/b", "/a/c", "/d", "/e"}));
  document.erase("/a/b");
  EXPECT_TRUE(document.has("/a"));
  document.erase("/a/c");  // and the object that it leaves empty
  EXPECT_FALSE(document.has("/a"));
}

TEST(ConfigLayers, TheLowerFillsWhatIsNotThere) {
  auto document = ConfigDocument::from_text(
      R"({"p": {"a": {"b": 1}, "c": {"value": 2}, "d": "x"}})", "high.json");
  document.begin_layer();
  document.underlay(
      "/p",
      ConfigDocument::from_text("{\"a\": {\"b\": 8,\n\"e\": {\"value\": 9}}, \"c\": {\"f\": 1},\n"
                                "\"d\": {\"g\": 1}, \"h\": {\"i\": 3}}",
                                "low.json"),
      1);
  EXPECT_EQ(document.value(), nlohmann::json::parse(R"({"p": {"a": {"b": 1, "e": {"value": 9}},
      "c": {"value": 2}, "d": "x", "h": {"i": 3}}})"));
  EXPECT_EQ(document.location("/p/a/b").file, "high.json");
  EXPECT_EQ(document.location("/p/a/e/value").file, "low.json");
  EXPECT_EQ(document.location("/p/a/e/value").line, 2);
  EXPECT_EQ(document.location("/p/h/i").line, 3);
  EXPECT_EQ(document.layer("/p/a/b"), 0);
  EXPECT_EQ(document.layer("/p/h/i"), 1);
}

TEST(Config, AParameterMaySayThatItIsBorrowed) {
  const auto document = ConfigDocument::from_text(
      R"({"a": {"b": {"value": 1, "borrowed": true}, "c": {"value": 1, "borrowed": false}, "d": 1},
          "e": {"value": 1, "borrowed": "yes"}})",
      "x.json");
  const ConfigNode root(document);
  EXPECT_EQ(root.borrowed(), std::vector<std::string>{"/a/b"});
  EXPECT_EQ(root.child("a").borrowed(), std::vector<std::string>{"/a/b"});
  EXPECT_EQ(root.child("a").integer("b"), 1);
  EXPECT_EQ(error_of([&] { root.integer("e"); }),
            "x.json:2: /e/borrowed: found \"yes\", expected true or false");
}

TEST(Config, ARangeIsCheckedLikeItsValue) {
  const auto complaint = [](const std::string& member, auto read) {
    const auto document = ConfigDocument::from_text("{\n\"a\": " + member + "}", "x.json");
    return error_of([&] { read(ConfigNode(document)); });
  };
  const auto number = [](const ConfigNode& node) { node.number("a", 0, 2); };
  const auto time = [](const ConfigNode& node) { node.quantity("a", Dimension::kTime); };
  EXPECT_EQ(complaint(R"({"value": 1, "range": [0.5, 2], "source": "S"})", number), "no error");
  EXPECT_EQ(complaint(R"({"value": "2us", "range": ["900ns", "2us"]})", time), "no error");
  EXPECT_EQ(complaint(R"({"value": 1, "range": [0.5, 3]})", number),
            "x.json:2: /a/range/1: found 3, allowed is 0 to 2");
  EXPECT_EQ(complaint(R"({"value": 1, "range": [1.5, 2]})", number),
            "x.json:2: /a/range: found [1.5,2], expected low <= value <= high with the value 1");
  EXPECT_EQ(complaint(R"({"value": 1, "range": [1]})", number),
            "x.json:2: /a/range: found [1], expected [low, high]");
  EXPECT_EQ(complaint(R"({"value": 1, "range": "1..2"})", number),
            "x.json:2: /a/range: found \"1..2\", expected [low, high]");
  EXPECT_THAT(complaint(R"({"value": "2us", "range": ["1GB", "2us"]})", time),
              testing::StartsWith("x.json:2: /a/range/0: "));
  EXPECT_THAT(complaint(R"({"value": "2us", "range": [1, "2us"]})", time),
              testing::HasSubstr("/a/range/0: found 1, expected a quantity with a unit"));
}

TEST(Config, OnlyWhatIsMeasuredHasARange) {
  const auto document = ConfigDocument::from_text(
      R"({"n": {"value": 1, "range": [1, 2]}, "b": {"value": true, "range": [true, true]},
          "t": {"value": "x", "range": ["w", "y"]}})",
      "x.json");
  const ConfigNode root(document);
  const std::string why =
      ": has no meaning here, only a number or a quantity with a unit has a range, not a count, a "
      "choice or a text";
  EXPECT_EQ(error_of([&] { root.integer("n"); }), "x.json:1: /n/range" + why);
  EXPECT_EQ(error_of([&] { root.boolean("b"); }), "x.json:1: /b/range" + why);
  EXPECT_EQ(error_of([&] { root.text("t"); }), "x.json:2: /t/range" + why);
}

TEST(Config, SettingTheValueDropsItsRange) {
  const char* text = R"({"a": {"value": 1, "range": [0, 2], "source": "S"}})";
  auto whole = ConfigDocument::from_text(text, "x.json");
  whole.apply_set("/a=5");
  EXPECT_EQ(whole.value().dump(), R"({"a":5})");
  auto inside = ConfigDocument::from_text(text, "x.json");
  inside.apply_set("/a/value=5");
  EXPECT_EQ(inside.value().dump(), R"({"a":{"source":"S","value":5}})");
  inside.apply_set("/a/range=[4, 6]");
  EXPECT_EQ(ConfigNode(inside).number("a"), 5);
}

TEST(ConfigLayers, NullNeedsSomethingToTake) {
  auto document = ConfigDocument::from_text(R"({"a": 1})", "low.json");
  EXPECT_EQ(
      error_of([&] { document.overlay(ConfigDocument::from_text(R"({"b": null})", "high.json")); }),
      "high.json:1: /b: null takes a key away, and there is none");
  EXPECT_EQ(error_of([&] { document.apply_set("/b=null"); }),
            "--set /b=null: null takes a key away, and there is none");
  EXPECT_EQ(error_of([&] { document.overlay(ConfigDocument::from_text("[]", "high.json")); }),
            "high.json:1: expected an object");
}

TEST(Utf8, LongTextLosesItsMiddle) {
  EXPECT_EQ(shortened("short", 5), "short");
  EXPECT_EQ(shortened("0123456789", 6), "0123 ... 89");
  // No sequence is cut: "ä" has two bytes.
  for (std::size_t most = 1; most < 12; ++most) {
    EXPECT_EQ(find_invalid_utf8(shortened("ääääääää", most)), std::string::npos) << most;
  }
}

}  // namespace
}  // namespace cmsim
