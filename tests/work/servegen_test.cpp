#include "src/work/servegen.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "cmsim/work/trace_reader.hpp"
#include "support.hpp"

namespace cmsim::work {
namespace {

using test::error_of;
using test::tar_of;
using testing::HasSubstr;

const std::string kWindows =
    "0,0,0,,0,0\n"
    "600,2.0,1.0,Gamma,1.0,0.5\n"
    "1200,0.5,3.0,Weibull,0.4,0.3\n"
    "1800,1.0,,,,\n";
const std::string kLengths = R"({
  "0": {"input_tokens": "{100: 0.5, 300: 0.5}", "output_tokens": "{10: 0.25, 20: 0.75}",
        "reason_ratio": "{0.0: 0.0}"},
  "21600": {"input_tokens": "{}", "output_tokens": "{}"}
})";

Trace read_profile(const ReadOptions& options = {}) {
  return parse_trace(
      tar_of({{"p/chunk-0-trace.csv", kWindows}, {"p/chunk-0-dataset.json", kLengths}}), "p.tar",
      options);
}

TEST(ServeGen, ReadsWindows) {
  const auto windows = parse_rate_windows(kWindows, "w");
  ASSERT_EQ(windows.size(), 4u);
  EXPECT_EQ(windows[1].start, 600);
  EXPECT_EQ(windows[1].rate, 2);
  EXPECT_EQ(windows[1].family, IatFamily::kGamma);
  EXPECT_EQ(windows[2].family, IatFamily::kWeibull);
  EXPECT_EQ(windows[2].cv, 3);
  EXPECT_EQ(windows[3].family, IatFamily::kExponential);
}

TEST(ServeGen, ReadsHistograms) {
  const auto periods = parse_length_histograms(kLengths, "d");
  EXPECT_EQ(periods.at(0).prompt.mean(), 200);   // (100 + 300) / 2
  EXPECT_EQ(periods.at(0).output.mean(), 17.5);  // 10/4 + 20*3/4
  EXPECT_TRUE(periods.at(21600).prompt.empty());
}

TEST(ServeGen, WeibullShapeHasTheCvAskedFor) {
  EXPECT_NEAR(weibull_shape(1), 1, 1e-9);  // the exponential
  // Shape 1/2: mean 2, second moment 24, so the variance is 20 and the CV sqrt(20)/2 = sqrt(5).
  EXPECT_NEAR(weibull_shape(std::sqrt(5.0)), 0.5, 1e-9);
}

/// Over many windows the mean count is rate * length, whatever the burstiness: the process is
/// stationary. Started with an ordinary gap it would have some (CV^2 - 1) / 2 requests more.
TEST(ServeGen, WindowsHaveTheirRateWhateverTheirBurstiness) {
  constexpr int kWindowsDrawn = 4000;
  constexpr Seconds kLength = 600;
  struct Case {
    IatFamily family;
    double cv;
  };
  for (const Case& c : {Case{IatFamily::kExponential, 1}, Case{IatFamily::kGamma, 0.5},
                        Case{IatFamily::kGamma, 4}, Case{IatFamily::kWeibull, 4}}) {
    const RateWindow window{.start = 1200, .rate = 0.2, .cv = c.cv, .family = c.family};
    RandomStream random(1, "test");
    double count = 0;
    for (int i = 0; i < kWindowsDrawn; ++i) {
      for (const Seconds at : draw_window(window, kLength, random)) {
        ASSERT_GE(at, 1200);
        ASSERT_LT(at, 1800);
        ++count;
      }
    }
    // 0.2/s * 600 s = 120 a window. A count's variance is below rate * length * CV^2; the mean of
    // 4000 windows is held to five standard errors of that: cv * sqrt(120 / 4000) * 5 = 0.87 cv.
    EXPECT_NEAR(count / kWindowsDrawn, 120, 0.87 * c.cv) << static_cast<int>(c.family) << c.cv;
  }
}

TEST(ServeGen, DrawsGapsOfTheCvAskedFor) {
  for (const IatFamily family : {IatFamily::kGamma, IatFamily::kWeibull}) {
    const RateWindow window{.start = 0, .rate = 100, .cv = 2, .family = family};
    RandomStream random(7, "test");
    const auto arrivals = draw_window(window, 5000, random);  // some 500,000 gaps
    double sum = 0, squares = 0;
    for (std::size_t i = 1; i < arrivals.size(); ++i) {
      const double gap = arrivals[i] - arrivals[i - 1];
      sum += gap;
      squares += gap * gap;
    }
    const auto count = static_cast<double>(arrivals.size() - 1);
    const double mean = sum / count;
    EXPECT_NEAR(mean, 0.01, 0.01 * 0.02);
    EXPECT_NEAR(std::sqrt(squares / count / (mean * mean) - 1), 2, 0.04);
  }
}

TEST(ServeGen, DrawsRequestsInOrderWithLengthsOfTheProfile) {
  const Trace trace = read_profile();
  EXPECT_EQ(trace.format, "servegen");
  // Expected count 600 s * (2.0 + 0.5 + 1.0)/s = 2100; its variance is about
  // 600 * (2 * 1 + 0.5 * 9 + 1) = 4500, so five deviations are 335.
  EXPECT_NEAR(static_cast<double>(trace.rows.size()), 2100, 335);
  double prompts = 0, outputs = 0;
  for (std::size_t i = 0; i < trace.rows.size(); ++i) {
    // The first window, which has no rate, ends at 600 s.
    ASSERT_GE(trace.rows[i].arrival, i == 0 ? 600 : trace.rows[i - 1].arrival);
    prompts += trace.rows[i].prompt_tokens;
    outputs += trace.rows[i].output_tokens;
  }
  const auto count = static_cast<double>(trace.rows.size());
  EXPECT_NEAR(prompts / count, 200, 5 * 100 / std::sqrt(count));    // deviation of {100, 300}: 100
  EXPECT_NEAR(outputs / count, 17.5, 5 * 4.34 / std::sqrt(count));  // sqrt(325 - 17.5^2) = 4.33
}

TEST(ServeGen, APartOfTheDayIsDrawnAsInTheWholeDay) {
  const Trace day = read_profile(), part = read_profile({.start = 700, .end = 1300});
  std::size_t i = 0;
  for (const TraceRow& row : day.rows) {
    if (row.arrival < 700 || row.arrival >= 1300) continue;
    ASSERT_LT(i, part.rows.size());
    EXPECT_EQ(row.arrival, part.rows[i].arrival);
    EXPECT_EQ(row.prompt_tokens, part.rows[i].prompt_tokens);
    ++i;
  }
  EXPECT_EQ(i, part.rows.size());
  EXPECT_GT(i, 0u);
}

TEST(ServeGen, TheSeedDecides) {
  const auto first_arrival = [](std::uint64_t seed) {
    return read_profile({.seed = seed}).rows.front().arrival;
  };
  EXPECT_EQ(first_arrival(3), first_arrival(3));
  EXPECT_NE(first_arrival(3), first_arrival(4));
}

TEST(ServeGen, ReadsADirectoryAsItReadsATar) {
  const auto directory =
      std::filesystem::temp_directory_path() / ("cmsim_servegen_test." + std::to_string(getpid()));
  std::filesystem::create_directories(directory / "p");
  std::ofstream(directory / "p/chunk-0-trace.csv") << kWindows;
  std::ofstream(directory / "p/chunk-0-dataset.json") << kLengths;
  const Trace from_parent = read_trace(directory), from_tar = read_profile();
  ASSERT_EQ(from_parent.rows.size(), from_tar.rows.size());
  EXPECT_EQ(from_parent.rows.back().arrival, from_tar.rows.back().arrival);
  std::filesystem::remove_all(directory);
}

TEST(ServeGen, ErrorsNameTheFileInside) {
  const auto tar_error = [](const std::string& windows, const std::string& lengths) {
    return error_of([&] {
      parse_trace(tar_of({{"p/chunk-0-trace.csv", windows}, {"p/chunk-0-dataset.json", lengths}}),
                  "p.tar");
    });
  };
  EXPECT_EQ(tar_error("0,1,1,Gamma,1", kLengths),
            "p.tar:p/chunk-0-trace.csv:1: found 5 columns, expected 6: start, rate, CV, pattern, "
            "shape, scale");
  EXPECT_THAT(tar_error("0,-1,1,Gamma,1,1", kLengths),
              HasSubstr("rate is \"-1\", allowed is 0 to"));
  EXPECT_THAT(tar_error("0,1,1,Pareto,1,1", kLengths), HasSubstr("pattern is \"Pareto\""));
  EXPECT_THAT(tar_error("0,1,0,Gamma,1,1", kLengths), HasSubstr("CV is \"0\""));
  EXPECT_THAT(tar_error("600,0,0,,0,0\n0,0,0,,0,0", kLengths), HasSubstr("does not come after"));
  EXPECT_THAT(tar_error("30000,1,1,Gamma,1,1", kLengths), HasSubstr("no lengths for them"));
  EXPECT_THAT(tar_error(kWindows, "{\n\"0\": {\"input_tokens\": \"{0: 1.0}\"}}"),
              HasSubstr("p.tar:p/chunk-0-dataset.json:2: length is 0"));
  EXPECT_THAT(tar_error(kWindows, R"({"0": {"input_tokens": "{5: 2.0}"}})"),
              HasSubstr("probability is 2"));
  EXPECT_THAT(tar_error(kWindows, R"({"0": {"input_tokens": "{5: 0.1)"), HasSubstr("cut short"));
  EXPECT_EQ(error_of([] {
              parse_trace(tar_of({{"p/chunk-1-trace.csv", kWindows}}), "p.tar");
            }),
            "p.tar: chunk-1-dataset.json is missing");
  EXPECT_THAT(error_of([] {
                parse_trace(
                    tar_of({{"a/chunk-0-trace.csv", kWindows}, {"b/chunk-0-trace.csv", kWindows}}),
                    "p.tar");
              }),
              HasSubstr("more than one profile (a and b)"));
  EXPECT_THAT(error_of([] {
                parse_trace(tar_of({{"a/chunk-0-trace.csv", kWindows}}).substr(0, 700), "p.tar");
              }),
              HasSubstr("cut short"));
}

}  // namespace
}  // namespace cmsim::work
