#include "requests.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "csv_columns.hpp"
#include "rounded.hpp"

namespace cmsim::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostRows = 4'000;                      // of the sample
constexpr std::size_t kMostTurns = 12, kMostInstances = 512;  // the last stands for all beyond
constexpr std::size_t kBins = 60;
constexpr double kMostBinned = 0.995;  // what is above this quantile is counted, not drawn
constexpr double kHalfMicrosecond = 5e-7;

/// At linear distances between ranks, as every percentile of a result.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Every half per cent, and more of the tail.
std::vector<double> shares() {
  std::vector<double> list;
  list.reserve(198 + 11);
  for (int i = 0; i < 198; ++i) list.push_back(i / 200.0);
  for (int i = 0; i <= 10; ++i) list.push_back(0.99 + i / 1000.0);
  return list;
}

Json histogram(const std::vector<double>& sorted) {
  const double from = sorted.front(), to = quantile(sorted, kMostBinned);
  std::vector<double> counts(kBins, 0);
  double beyond = 0;
  for (const double value : sorted) {
    if (value > to) {
      ++beyond;
      continue;
    }
    const double place = to > from ? (value - from) / (to - from) : 0;
    ++counts[std::min(kBins - 1, static_cast<std::size_t>(place * kBins))];
  }
  return {{"from", rounded(from)},
          {"to", rounded(to)},
          {"counts", rounded(counts)},
          {"beyond", rounded(beyond)}};
}

Json distribution(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return nullptr;
  std::ranges::sort(values);
  std::vector<double> quantiles;
  for (const double share : shares()) quantiles.push_back(quantile(values, share));
  return {{"count", values.size()},
          {"quantiles", rounded(quantiles)},
          {"histogram", histogram(values)}};
}

class Requests {
 public:
  Requests(CsvColumns columns, const Json& window)
      : columns_(std::move(columns)),
        from_(window.value("from_s", 0.0)),
        to_(window.contains("cohort_to_s") && window["cohort_to_s"].is_number()
                ? window["cohort_to_s"].get<double>()
                : std::numeric_limits<double>::infinity()) {}

  Json json() const {
    const auto all = [](std::size_t) { return true; };
    const auto cohort = [this](std::size_t row) { return in_cohort(row); };
    return {{"rows", columns_.rows()},
            {"shares", rounded(shares())},
            {"window", distributions(cohort)},
            {"whole_run", distributions(all)},
            {"sample", sample()},
            {"ranks", ranks()},
            {"turns", groups("turn", kMostTurns)},
            {"prefill_instances", groups("prefill_instance", kMostInstances)},
            {"decode_instances", groups("decode_instance", kMostInstances)}};
  }

 private:
  using Chosen = std::function<bool(std::size_t)>;

  double at(std::string_view column, std::size_t row) const { return columns_.of(column)[row]; }
  bool was_under_way(std::size_t row) const { return at("initial_tokens", row) > 0; }
  bool in_cohort(std::size_t row) const {
    const double sent = at("sent_s", row);
    return sent >= from_ - kHalfMicrosecond && sent < to_ - kHalfMicrosecond && !was_under_way(row);
  }

  /// Milliseconds, of finished requests; TTFT and E2E not of those that were under way at the
  /// start.
  std::vector<double> latencies(std::string_view column, const Chosen& chosen) const {
    const std::vector<double>& seconds = columns_.of(column);
    std::vector<double> values;
    for (std::size_t row = 0; row < seconds.size(); ++row) {
      if (std::isnan(at("e2el_s", row)) || !chosen(row)) continue;
      if (column != "tpot_s" && was_under_way(row)) continue;
      values.push_back(seconds[row] * 1e3);
    }
    return values;
  }

  /// The mean time between outputs of a request: of its iterations after the first.
  std::vector<double> mean_gaps(const Chosen& chosen) const {
    std::vector<double> values;
    for (std::size_t row = 0; row < columns_.rows(); ++row) {
      const double iterations = at("iterations", row);
      if (std::isnan(at("e2el_s", row)) || iterations < 2 || !chosen(row)) continue;
      values.push_back(at("decode_s", row) * 1e3 / (iterations - 1));
    }
    return values;
  }

  Json distributions(const Chosen& chosen) const {
    return {{"ttft_ms", distribution(latencies("ttft_s", chosen))},
            {"tpot_ms", distribution(latencies("tpot_s", chosen))},
            {"itl_ms", distribution(mean_gaps(chosen))},
            {"e2el_ms", distribution(latencies("e2el_s", chosen))}};
  }

  /// Every so many-th request that finished and was not under way at the start.
  Json sample() const {
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < columns_.rows(); ++row) {
      if (!std::isnan(at("e2el_s", row)) && !was_under_way(row)) rows.push_back(row);
    }
    const std::size_t every = std::max<std::size_t>(1, (rows.size() + kMostRows - 1) / kMostRows);
    Json json{{"of", rows.size()}, {"every", every}};
    const auto add = [&](const char* name, const char* column, double unit) {
      std::vector<double> values;
      for (std::size_t i = 0; i < rows.size(); i += every) {
        values.push_back(at(column, rows[i]) * unit);
      }
      json[name] = rounded(values);
    };
    add("sent_s", "sent_s", 1);
    add("ttft_ms", "ttft_s", 1e3);
    add("tpot_ms", "tpot_s", 1e3);
    add("e2el_ms", "e2el_s", 1e3);
    add("prompt_tokens", "prompt_tokens", 1);
    add("output_tokens", "output_tokens", 1);
    add("slo_met", "slo_met", 1);
    return json;
  }

  /// Output tokens by decode instance and rank: how even the routing was.
  Json ranks() const {
    std::map<std::size_t, std::vector<double>> tokens;
    for (std::size_t row = 0; row < columns_.rows(); ++row) {
      const double instance = at("decode_instance", row), rank = at("decode_rank", row);
      if (std::isnan(instance) || std::isnan(rank)) continue;
      std::vector<double>& of_instance = tokens[static_cast<std::size_t>(instance)];
      const auto place = static_cast<std::size_t>(rank);
      if (place >= of_instance.size()) of_instance.resize(place + 1, 0);
      of_instance[place] += at("output_tokens", row) - at("initial_tokens", row);
    }
    Json instances = Json::array();
    for (const auto& [instance, of_instance] : tokens) {
      instances.push_back({{"instance", instance}, {"tokens", rounded(of_instance)}});
    }
    return instances;
  }

  /// Of the finished requests of the whole run that were not under way at the start, by a column
  /// of whole numbers.
  Json groups(std::string_view column, std::size_t most) const {
    std::map<double, std::vector<std::size_t>> rows;
    for (std::size_t row = 0; row < columns_.rows(); ++row) {
      const double key = at(column, row);
      if (std::isnan(key) || std::isnan(at("e2el_s", row)) || was_under_way(row)) continue;
      rows[std::min(key, static_cast<double>(most))].push_back(row);
    }
    Json all = Json::array();
    for (const auto& [key, of_group] : rows) all.push_back(group(key, of_group));
    return all;
  }

  Json group(double key, const std::vector<std::size_t>& rows) const {
    const auto sum = [&](std::string_view column) {
      double total = 0;
      for (const std::size_t row : rows) total += at(column, row);
      return total;
    };
    const auto latency = [&](std::string_view column) -> Json {
      std::vector<double> values;
      for (const std::size_t row : rows) values.push_back(at(column, row) * 1e3);
      std::erase_if(values, [](double value) { return std::isnan(value); });
      if (values.empty()) return nullptr;
      std::ranges::sort(values);
      const double mean =
          std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
      return {{"mean", rounded(mean)},
              {"p50", rounded(quantile(values, 0.5))},
              {"p99", rounded(quantile(values, 0.99))}};
    };
    return {{"key", key},
            {"count", rows.size()},
            {"prompt_tokens", sum("prompt_tokens")},
            {"cached_tokens", sum("cached_tokens")},
            {"ssd_tokens", sum("ssd_tokens")},
            {"output_tokens", sum("output_tokens")},
            {"slo_met", sum("slo_met")},
            {"ttft_ms", latency("ttft_s")},
            {"tpot_ms", latency("tpot_s")}};
  }

  CsvColumns columns_;
  double from_, to_;
};

}  // namespace

Json requests_json(std::string_view csv, const std::string& file, const Json& window) {
  return Requests(read_columns(csv, file,
                               {"prompt_tokens", "cached_tokens", "ssd_tokens", "output_tokens",
                                "initial_tokens", "prefill_instance", "decode_instance",
                                "decode_rank", "iterations", "sent_s", "decode_s", "ttft_s",
                                "tpot_s", "e2el_s", "slo_met", "turn"}),
                  window)
      .json();
}

}  // namespace cmsim::report
