#include "cmsim/study/axis.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <set>

#include "cmsim/base/error.hpp"
#include "cmsim/base/units.hpp"

namespace cmsim::study {
namespace {

[[noreturn]] void refuse(const std::string& origin, std::string_view text,
                         const std::string& what) {
  throw ConfigError({fmt::format("{} {}", origin, text), 0, ""}, what);
}

/// The factor from a unit to the base unit of its dimension.
std::optional<double> factor_of(const std::string& unit) {
  if (unit.empty()) return 1;
  for (const Dimension dimension : {Dimension::kTime, Dimension::kBytes, Dimension::kBandwidth,
                                    Dimension::kOpsRate, Dimension::kRate, Dimension::kNumber}) {
    try {
      return parse_quantity("1" + unit, dimension);
    } catch (const UnitError&) {
    }
  }
  return std::nullopt;
}

/// What commas separate that are outside of quotes, brackets and braces; none when one of those is
/// left open.
std::optional<std::vector<std::string_view>> split_outside(std::string_view text) {
  std::vector<std::string_view> parts;
  int depth = 0;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (quoted) {
      if (c == '\\') ++at;
      quoted = c != '"';
      continue;
    }
    quoted = c == '"';
    depth += c == '{' || c == '[';
    depth -= c == '}' || c == ']';
    if (c != ',' || depth != 0) continue;
    parts.push_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  if (quoted || depth != 0) return std::nullopt;
  parts.push_back(text.substr(begin));
  return parts;
}

/// "lo..hi:n", "log:lo..hi:n" or "lo..hi" of whole numbers.
struct RangeText {
  bool logarithmic = false;
  std::string_view low, high, count;
};

std::optional<RangeText> as_range(std::string_view text) {
  RangeText range;
  if (text.starts_with("log:")) {
    range.logarithmic = true;
    text.remove_prefix(4);
  }
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  range.low = text.substr(0, dots);
  range.high = text.substr(dots + 2);
  if (const std::size_t colon = range.high.rfind(':'); colon != std::string_view::npos) {
    range.count = range.high.substr(colon + 1);
    range.high = range.high.substr(0, colon);
  }
  // A path such as ../traces/a.jsonl is no range.
  if (!split_quantity(range.low) || !split_quantity(range.high)) return std::nullopt;
  return range;
}

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> whole_numbers(const RangeText& range, const std::string& origin,
                                       std::string_view text) {
  const auto low = whole(range.low), high = whole(range.high);
  if (range.logarithmic || !low || !high) {
    refuse(origin, text, "how many values? lo..hi:n says it; lo..hi is for whole numbers");
  }
  if (*high < *low ||
      static_cast<std::uint64_t>(*high) - static_cast<std::uint64_t>(*low) >= kMostValues) {
    refuse(origin, text, fmt::format("expected 1 to {} values, the lowest first", kMostValues));
  }
  std::vector<std::string> values;
  for (std::int64_t value = *low; value <= *high; ++value) values.push_back(std::to_string(value));
  return values;
}

std::vector<std::string> spaced(const RangeText& range, const std::string& origin,
                                std::string_view text) {
  const auto count = whole(range.count);
  if (!count || *count < 2 || *count > static_cast<std::int64_t>(kMostValues)) {
    refuse(origin, text, fmt::format("found {} values, allowed 2 to {}", range.count, kMostValues));
  }
  const Quantity low = *split_quantity(range.low), high = *split_quantity(range.high);
  const std::string unit = high.unit;
  const auto low_factor = factor_of(low.unit), factor = factor_of(unit);
  if (!low_factor || !factor || low.unit.empty() != unit.empty()) {
    refuse(origin, text, "both ends need a unit of the same quantity");
  }
  const double from = low.number * *low_factor / *factor, to = high.number;
  if (range.logarithmic && (from <= 0 || to <= 0)) {
    refuse(origin, text, "equal ratios need ends above 0");
  }
  std::vector<std::string> values;
  for (std::int64_t i = 0; i < *count; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(*count - 1);
    const double value =
        range.logarithmic ? from * std::pow(to / from, share) : from + (to - from) * share;
    values.push_back(fmt::format("{:.10g}{}", value, unit));
  }
  return values;
}

}  // namespace

bool is_within(std::string_view pointer, std::string_view outer) {
  if (!pointer.starts_with(outer)) return false;
  return pointer.size() == outer.size() || pointer[outer.size()] == '/';
}

std::optional<Quantity> split_quantity(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || !std::isfinite(number)) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  return Quantity{number, std::string(unit)};
}

std::optional<double> numeric_value(std::string_view text) {
  const auto quantity = split_quantity(text);
  if (!quantity) return std::nullopt;
  const auto factor = factor_of(quantity->unit);
  if (!factor) return std::nullopt;
  return quantity->number * *factor;
}

std::vector<std::string> parse_values(std::string_view text, const std::string& origin,
                                      Repeats repeats) {
  std::vector<std::string> values;
  const auto parts = split_outside(text);
  if (!parts) refuse(origin, text, "a quote, bracket or brace without its other half");
  for (const std::string_view part : *parts) {
    if (part.empty()) {
      refuse(origin, text,
             "an empty value; values are separated by commas, an empty text is written \"\"");
    }
    if (const auto range = as_range(part)) {
      const auto more =
          range->count.empty() ? whole_numbers(*range, origin, part) : spaced(*range, origin, part);
      values.insert(values.end(), more.begin(), more.end());
    } else {
      values.emplace_back(part);
    }
  }
  if (const std::string problem = problem_of(values, repeats); !problem.empty()) {
    refuse(origin, text, problem);
  }
  return values;
}

std::string problem_of(const std::vector<std::string>& values, Repeats repeats) {
  std::set<std::string> seen;
  for (const std::string& value : values) {
    if (!seen.insert(value).second && repeats == Repeats::kRefused)
      return fmt::format("{} comes twice", value);
  }
  if (values.size() <= kMostValues) return "";
  return fmt::format("{} values, allowed are {}", values.size(), kMostValues);
}

Axis parse_axis(const std::string& text, const std::string& origin, Repeats repeats) {
  const std::size_t equals = text.find('=');
  const bool place = text.starts_with('/') || text.starts_with("--");
  if (!place || equals == std::string::npos || equals < 2) {
    refuse(origin, text,
           "expected /pointer=a,b,c or /pointer=lo..hi:n or /pointer=log:lo..hi:n, or the same of "
           "an option of the command, e.g. --batch=8,96");
  }
  return {text.substr(0, equals), parse_values(std::string_view(text).substr(equals + 1),
                                               origin + " " + text.substr(0, equals), repeats)};
}

std::vector<std::uint64_t> parse_seeds(const std::string& text, const std::string& origin) {
  std::vector<std::uint64_t> seeds;
  for (const std::string& value : parse_values(text, origin)) {
    const auto seed = whole(value);
    if (!seed || *seed < 0) {
      refuse(origin, text, "expected whole numbers from 0, e.g. 1..12 or 1,2,5");
    }
    seeds.push_back(static_cast<std::uint64_t>(*seed));
  }
  return seeds;
}

}  // namespace cmsim::study
