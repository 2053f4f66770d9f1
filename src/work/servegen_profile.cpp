#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "cmsim/base/error.hpp"
#include "cmsim/work/trace.hpp"
#include "csv.hpp"
#include "input_stream.hpp"
#include "json_cursor.hpp"
#include "servegen.hpp"

namespace cmsim::work {
namespace {

constexpr double kHighestRate = 1e6;  // requests/s of one client
constexpr double kLeastCv = 0.01, kMostCv = 100;
constexpr Seconds kLatest = 1e8;

class WindowParser {
 public:
  WindowParser(std::string_view csv, const std::string& name) : input_(csv, name) {}

  std::vector<RateWindow> parse() {
    std::vector<RateWindow> windows;
    while (const auto line = input_.read_line()) {
      if (line->empty()) continue;
      split_csv(*line, fields_);
      if (fields_.size() != 6) {
        input_.fail(
            fmt::format("found {} columns, expected 6: start, rate, CV, pattern, shape, "
                        "scale",
                        fields_.size()));
      }
      RateWindow window;
      window.start = number(0, "window start", 0, kLatest);
      window.rate = number(1, "rate", 0, kHighestRate);
      if (!windows.empty() && window.start <= windows.back().start) {
        input_.fail(fmt::format("window start {} s does not come after {} s of the row before",
                                window.start, windows.back().start));
      }
      if (window.rate > 0) read_pattern(window);
      windows.push_back(window);
    }
    if (windows.empty()) input_.fail("holds no windows");
    return windows;
  }

 private:
  double number(std::size_t column, std::string_view field, double low, double high) {
    const auto value = parse_number(fields_[column]);
    if (!value || *value < low || *value > high) {
      input_.fail(fmt::format("{} is \"{}\", allowed is {:g} to {:g}", field,
                              fields_[column].substr(0, 60), low, high));
    }
    return *value;
  }

  void read_pattern(RateWindow& window) {
    if (fields_[3].empty()) return;  // no pattern was fitted: exponential gaps
    if (fields_[3] == "Gamma") {
      window.family = IatFamily::kGamma;
    } else if (fields_[3] == "Weibull") {
      window.family = IatFamily::kWeibull;
    } else {
      input_.fail(fmt::format("pattern is \"{}\", allowed is Gamma, Weibull or nothing",
                              fields_[3].substr(0, 60)));
    }
    window.cv = number(2, "CV", kLeastCv, kMostCv);
  }

  InputStream input_;
  std::vector<std::string_view> fields_;
};

/// "{50: 0.04, 51: 0.08}" inside a JSON string that starts at `offset` of the file.
LengthHistogram parse_histogram(std::string_view text, std::size_t offset) {
  std::vector<std::pair<std::int64_t, double>> entries;
  JsonCursor cursor(text);
  try {
    cursor.expect('{');
    if (!cursor.consume('}')) {
      do {
        const double tokens = cursor.number("length");
        if (tokens < 1 || tokens > static_cast<double>(kMostTokens) ||
            tokens != std::floor(tokens)) {
          throw TextError(
              cursor.offset(),
              fmt::format("length is {}, allowed is a whole number, 1 to {}", tokens, kMostTokens));
        }
        cursor.expect(':');
        const double weight = cursor.number("probability");
        if (weight < 0 || weight > 1 + 1e-9) {
          throw TextError(cursor.offset(),
                          fmt::format("probability is {}, allowed is 0 to 1", weight));
        }
        if (weight > 0) entries.emplace_back(static_cast<std::int64_t>(tokens), weight);
        if (entries.size() > kMostLengths) {
          throw TextError(cursor.offset(), fmt::format("more than {} lengths", kMostLengths));
        }
      } while (cursor.more('}'));
    }
    cursor.expect_end();
  } catch (const TextError& error) {
    throw TextError(offset + error.offset(), error.what());
  }
  std::sort(entries.begin(), entries.end());
  return LengthHistogram(entries);
}

ServeGenClient::Lengths parse_period(JsonCursor& json, std::string_view text) {
  ServeGenClient::Lengths lengths;
  json.expect('{');
  if (json.consume('}')) return lengths;
  do {
    const std::string_view field = json.key();
    if (field == "input_tokens" || field == "output_tokens") {
      const std::string_view histogram = json.string();
      const auto offset = static_cast<std::size_t>(histogram.data() - text.data());
      (field == "input_tokens" ? lengths.prompt : lengths.output) =
          parse_histogram(histogram, offset);
    } else {
      json.skip_value();
    }
  } while (json.more('}'));
  return lengths;
}

}  // namespace

LengthHistogram::LengthHistogram(const std::vector<std::pair<std::int64_t, double>>& entries) {
  tokens_.reserve(entries.size());
  cumulative_.reserve(entries.size());
  for (const auto& [tokens, weight] : entries) {
    tokens_.push_back(tokens);
    cumulative_.push_back(weight + (cumulative_.empty() ? 0 : cumulative_.back()));
  }
}

double LengthHistogram::mean() const {
  double sum = 0, before = 0;
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    sum += static_cast<double>(tokens_[i]) * (cumulative_[i] - before);
    before = cumulative_[i];
  }
  return sum / before;
}

std::int64_t LengthHistogram::draw(RandomStream& random) const {
  const double at = random.uniform() * cumulative_.back();
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end() - 1, at);
  return tokens_[static_cast<std::size_t>(found - cumulative_.begin())];
}

std::vector<RateWindow> parse_rate_windows(std::string_view csv, const std::string& name) {
  return WindowParser(csv, name).parse();
}

std::map<std::int64_t, ServeGenClient::Lengths> parse_length_histograms(std::string_view text,
                                                                        const std::string& name) {
  std::map<std::int64_t, ServeGenClient::Lengths> periods;
  JsonCursor json(text);
  try {
    json.expect('{');
    if (!json.consume('}')) {
      do {
        const std::string_view key = json.key();
        std::int64_t start = 0;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), start);
        if (error != std::errc() || end != key.data() + key.size() || start < 0) {
          throw TextError(json.offset(), fmt::format("key \"{}\", expected a start in seconds",
                                                     key.substr(0, 60)));
        }
        if (!periods.try_emplace(start, parse_period(json, text)).second) {
          throw TextError(json.offset(), fmt::format("key \"{}\" is given twice", key));
        }
        if (periods.size() > kMostPeriods) {
          throw TextError(json.offset(), fmt::format("more than {} periods", kMostPeriods));
        }
      } while (json.more('}'));
    }
    json.expect_end();
  } catch (const TextError& error) {
    const std::string_view before = text.substr(0, error.offset());
    const auto line = 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
    throw ConfigError({.file = name, .line = line, .pointer = ""}, error.what());
  }
  return periods;
}

}  // namespace cmsim::work
