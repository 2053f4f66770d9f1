#include "cmsim/model/expert_popularity.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <tuple>

#include "cmsim/model/expert_placement.hpp"

namespace cmsim::model {
namespace {

constexpr PopularityShape kShape{.layers = 58, .experts = 256, .groups = 8};

TEST(Popularity, IsReadFromTheFileWithTheSameValues) {
  const auto document =
      ConfigDocument::from_file(CMSIM_SOURCE_DIR "/workloads/models/expert-popularity.json");
  const PopularityParameters read = read_popularity(ConfigNode(document));
  const PopularityParameters built_in = fitted_popularity();
  for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    const PopularityLaw& a = read.law(phase);
    const PopularityLaw& b = built_in.law(phase);
    EXPECT_EQ(a.log_spread_mean, b.log_spread_mean);
    EXPECT_EQ(a.log_spread_deviation, b.log_spread_deviation);
    EXPECT_EQ(a.tail, b.tail);
    EXPECT_EQ(a.bound, b.bound);
    EXPECT_EQ(a.group_correlation, b.group_correlation);
    EXPECT_EQ(a.stale_correlation, b.stale_correlation);
  }
  EXPECT_EQ(read.sequence_correlation, built_in.sequence_correlation);
  EXPECT_GT(built_in.sequence_correlation, 0);
  const auto wrong = ConfigDocument::from_text(R"({"decode": {"tial": 0.1}})", "test.json");
  EXPECT_THROW(read_popularity(ConfigNode(wrong)), ConfigError);
}

TEST(Popularity, SharesSumToOneAndRepeatWithTheSeed) {
  const PopularityLaw law = fitted_popularity().decode;
  const auto a = draw_popularity(law, Phase::kDecode, kShape, 1, 0.5, 3);
  const auto b = draw_popularity(law, Phase::kDecode, kShape, 1, 0.5, 3);
  const auto c = draw_popularity(law, Phase::kDecode, kShape, 1, 0.5, 4);
  ASSERT_EQ(a.size(), 58u);
  for (std::size_t l = 0; l < a.size(); ++l) {
    EXPECT_NEAR(std::accumulate(a[l].served.begin(), a[l].served.end(), 0.0), 1, 1e-12);
    EXPECT_NEAR(std::accumulate(a[l].placed.begin(), a[l].placed.end(), 0.0), 1, 1e-12);
    EXPECT_EQ(a[l].served, b[l].served);
    EXPECT_EQ(a[l].placed, b[l].placed);
    EXPECT_NE(a[l].served, c[l].served);
    EXPECT_NE(a[l].placed, a[l].served);
  }
}

TEST(Popularity, SkewScalesTheLogarithms) {
  const PopularityLaw law = fitted_popularity().decode;
  const auto flat = draw_popularity(law, Phase::kDecode, kShape, 0, 0, 1);
  for (double share : flat[0].served) EXPECT_DOUBLE_EQ(share, 1.0 / 256);
  const auto one = draw_popularity(law, Phase::kDecode, kShape, 1, 0, 1);
  const auto two = draw_popularity(law, Phase::kDecode, kShape, 2, 0, 1);
  // Normalisation drops out of a ratio of two shares of one layer.
  EXPECT_NEAR(std::log(two[7].served[3] / two[7].served[99]),
              2 * std::log(one[7].served[3] / one[7].served[99]), 1e-9);
  EXPECT_EQ(one[7].placed, one[7].served);  // staleness 0
}

TEST(Popularity, RefusesValuesOutOfRange) {
  const PopularityLaw law = fitted_popularity().decode;
  EXPECT_THROW(draw_popularity(law, Phase::kDecode, kShape, -1, 0, 1), std::invalid_argument);
  EXPECT_THROW(draw_popularity(law, Phase::kDecode, kShape, 1, 3, 1), std::invalid_argument);
  EXPECT_THROW(draw_popularity(law, Phase::kDecode, {58, 256, 7}, 1, 0, 1), std::invalid_argument);
}

// Statistics of one layer as the measurements give them; loads relative to the mean.
struct Statistics {
  double max = 0, p99 = 0, p50 = 0, min = 0, gini = 0, cv = 0, top8 = 0, top32 = 0;
};

Statistics statistics(std::vector<double> shares) {
  const double n = static_cast<double>(shares.size());
  std::sort(shares.begin(), shares.end());
  for (double& x : shares) x *= n;
  double weighted = 0, squares = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    weighted += static_cast<double>(i + 1) * shares[i];
    squares += shares[i] * shares[i];
  }
  const auto top = [&](int k) { return std::accumulate(shares.end() - k, shares.end(), 0.0) / n; };
  return {.max = shares[255],
          .p99 = shares[252] + 0.45 * (shares[253] - shares[252]),  // 0.99 * 255 = 252.45
          .p50 = (shares[127] + shares[128]) / 2,
          .min = shares[0],
          .gini = 2 * weighted / (n * n) - (n + 1) / n,
          .cv = std::sqrt(squares / n - 1),
          .top8 = top(8),
          .top32 = top(32)};
}

// Averages over 58 layers of the per-expert counts the law was fitted to, and how far off it may
// be. Seen (decode, prefill): max +6, +3 %; 99th percentile -7, -5 %; median -2, -2 %; minimum +15,
// +4 %; Gini +6, +3 %; coefficient of variation +1, 0 %; top 8 -5, -4 %; top 32 0, 0 %.
TEST(Popularity, HasTheMeasuredStatistics) {
  struct Row {
    Phase phase;
    Statistics measured;
  };
  for (const Row& row :
       {Row{Phase::kDecode, {5.564, 4.268, 0.776, 0.178, 0.348, 0.785, 0.130, 0.329}},
        Row{Phase::kPrefill, {8.122, 5.395, 0.674, 0.088, 0.453, 1.069, 0.168, 0.399}}}) {
    Statistics sum;
    constexpr int kSeeds = 20;
    for (int seed = 1; seed <= kSeeds; ++seed) {
      for (const auto& layer :
           draw_popularity(fitted_popularity().law(row.phase), row.phase, kShape, 1, 0, seed)) {
        const Statistics s = statistics(layer.served);
        sum.max += s.max, sum.p99 += s.p99, sum.p50 += s.p50, sum.min += s.min;
        sum.gini += s.gini, sum.cv += s.cv, sum.top8 += s.top8, sum.top32 += s.top32;
      }
    }
    const auto check = [&](const char* name, double total, double measured, double tolerance) {
      const double ours = total / (kSeeds * 58);
      RecordProperty(std::string(name) + (row.phase == Phase::kDecode ? "_decode" : "_prefill"),
                     std::to_string(ours / measured - 1));
      EXPECT_NEAR(ours / measured, 1, tolerance) << name << " ours " << ours;
    };
    check("max", sum.max, row.measured.max, 0.08);
    check("p99", sum.p99, row.measured.p99, 0.08);
    check("p50", sum.p50, row.measured.p50, 0.04);
    check("min", sum.min, row.measured.min, 0.20);
    check("gini", sum.gini, row.measured.gini, 0.09);
    check("cv", sum.cv, row.measured.cv, 0.04);
    check("top8", sum.top8, row.measured.top8, 0.06);
    check("top32", sum.top32, row.measured.top32, 0.03);
  }
}

struct Imbalance {
  std::string fitted_on, used;
  int ranks = 0, redundant = 0;
  double contiguous = 0, eplb = 0;  // contiguous 0 = not given
};

std::vector<Imbalance> measured_imbalance() {
  const char* given = std::getenv("CMSIM_SHARED");
  const std::filesystem::path root = given ? given : CMSIM_SOURCE_DIR "/../shared";
  std::ifstream file(root / "experts/lmsys_dsv3_ep_imbalance.csv");
  std::vector<Imbalance> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::vector<std::string> f;
    for (std::string field; std::getline(fields, field, ',');) f.push_back(field);
    rows.push_back({f.at(0), f.at(1), std::stoi(f.at(2)), std::stoi(f.at(3)),
                    f.at(4).empty() ? 0 : std::stod(f.at(4)), std::stod(f.at(5))});
  }
  return rows;
}

// Layer averages of max/mean over ranks, over 5 seeds, against every measured row. Placed on the
// counts it serves: 7 %, contiguous 12 %. Placed on another workload: 10 %, where the law of the
// phase and one staleness stand for all pairs of workloads (prefill to decode of the same prompts
// fits best at 0.7, the others at 1).
TEST(Popularity, GivesTheMeasuredImbalanceOfRanks) {
  const std::vector<Imbalance> rows = measured_imbalance();
  if (rows.empty()) GTEST_SKIP() << "set CMSIM_SHARED to the data directory";
  for (const Imbalance& row : rows) {
    const bool decode = row.used.starts_with("decode");
    const Phase phase = decode ? Phase::kDecode : Phase::kPrefill;
    const bool same = row.fitted_on == row.used;
    const double staleness = same ? 0 : decode && row.fitted_on.starts_with("prefill") ? 0.7 : 1;
    double eplb = 0, contiguous = 0;
    constexpr int kSeeds = 5;
    for (int seed = 1; seed <= kSeeds; ++seed) {
      for (const auto& [placed, served] :
           draw_popularity(fitted_popularity().law(phase), phase, kShape, 1, staleness, seed)) {
        const auto peak = [&, &load = served](const SlotMap& slots) {
          const auto shares = rank_shares(slots, load, row.ranks);
          return *std::max_element(shares.begin(), shares.end()) * row.ranks / (kSeeds * 58);
        };
        eplb += peak(place_eplb(placed, 256 + row.redundant, row.ranks));
        if (row.contiguous > 0) contiguous += peak(place_contiguous(256, 256));
      }
    }
    std::ostringstream name;
    name << row.fitted_on << " -> " << row.used << " EP" << row.ranks << "+" << row.redundant;
    std::cout << name.str() << ": eplb " << row.eplb << " ours " << eplb << " ("
              << 100 * (eplb / row.eplb - 1) << " %)";
    if (row.contiguous > 0) {
      std::cout << ", contiguous " << row.contiguous << " ours " << contiguous << " ("
                << 100 * (contiguous / row.contiguous - 1) << " %)";
      EXPECT_NEAR(contiguous / row.contiguous, 1, 0.12) << name.str();
    }
    std::cout << "\n";
    EXPECT_NEAR(eplb / row.eplb, 1, same ? 0.07 : 0.10) << name.str();
  }
}

// The widest law that the ranges of /experts allow: logarithms of shares in the tens of thousands,
// whose exponentials are infinite one by one.
TEST(Popularity, TheWidestLawHasFiniteShares) {
  const PopularityLaw widest{.log_spread_mean = 2,
                             .log_spread_deviation = 2,
                             .tail = 1,
                             .bound = 1e6,
                             .group_correlation = 1,
                             .stale_correlation = 0};
  const PopularityShape shape{.layers = 20, .experts = 256, .groups = 8};
  for (const LayerPopularity& layer : draw_popularity(widest, Phase::kDecode, shape, 3, 2, 1)) {
    for (const std::vector<double>& shares : {layer.placed, layer.served}) {
      double sum = 0;
      for (const double share : shares) {
        ASSERT_TRUE(std::isfinite(share) && share >= 0) << share;
        sum += share;
      }
      EXPECT_NEAR(sum, 1, 1e-9);
    }
  }
}

}  // namespace
}  // namespace cmsim::model
