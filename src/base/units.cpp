#include "cmsim/base/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <span>

namespace cmsim {
namespace {

struct Unit {
  std::string_view spelling;
  double factor;
};

constexpr double kKi = 1024.0, kMi = kKi * 1024, kGi = kMi * 1024, kTi = kGi * 1024;

constexpr Unit kTimeUnits[] = {{"ns", 1e-9}, {"us", 1e-6},  {"µs", 1e-6}, {"ms", 1e-3},
                               {"s", 1},     {"min", 60.0}, {"h", 3600.0}};
constexpr Unit kByteUnits[] = {{"B", 1},     {"kB", 1e3},  {"KB", 1e3},  {"MB", 1e6},
                               {"GB", 1e9},  {"TB", 1e12}, {"PB", 1e15}, {"KiB", kKi},
                               {"MiB", kMi}, {"GiB", kGi}, {"TiB", kTi}};
constexpr Unit kBandwidthUnits[] = {
    {"B/s", 1},        {"kB/s", 1e3},     {"KB/s", 1e3},     {"MB/s", 1e6},
    {"GB/s", 1e9},     {"TB/s", 1e12},    {"PB/s", 1e15},    {"KiB/s", kKi},
    {"MiB/s", kMi},    {"GiB/s", kGi},    {"TiB/s", kTi},    {"bps", 1 / 8.},
    {"kbps", 1e3 / 8}, {"Mbps", 1e6 / 8}, {"Gbps", 1e9 / 8}, {"Tbps", 1e12 / 8}};
constexpr Unit kOpsUnits[] = {{"FLOPS", 1},     {"OPS", 1},     {"GFLOPS", 1e9},  {"GOPS", 1e9},
                              {"TFLOPS", 1e12}, {"TOPS", 1e12}, {"PFLOPS", 1e15}, {"POPS", 1e15}};
constexpr Unit kRateUnits[] = {{"/s", 1}, {"/min", 1 / 60.0}, {"/h", 1 / 3600.0}};
constexpr Unit kNumberUnits[] = {{"", 1}, {"%", 0.01}};

std::span<const Unit> units_of(Dimension dimension) {
  switch (dimension) {
    case Dimension::kTime:
      return kTimeUnits;
    case Dimension::kBytes:
      return kByteUnits;
    case Dimension::kBandwidth:
      return kBandwidthUnits;
    case Dimension::kOpsRate:
      return kOpsUnits;
    case Dimension::kRate:
      return kRateUnits;
    case Dimension::kNumber:
      break;
  }
  return kNumberUnits;
}

std::string allowed_units(Dimension dimension) {
  std::string list;
  for (const Unit& unit : units_of(dimension)) {
    if (unit.spelling.empty()) continue;
    if (!list.empty()) list += ", ";
    list += unit.spelling;
  }
  return list;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view example_of(Dimension dimension) {
  switch (dimension) {
    case Dimension::kTime:
      return "1.9us";
    case Dimension::kBytes:
      return "64GB";
    case Dimension::kBandwidth:
      return "28GB/s";
    case Dimension::kOpsRate:
      return "376TFLOPS";
    case Dimension::kRate:
      return "12/s";
    case Dimension::kNumber:
      break;
  }
  return "0.7 or 70%";
}

Range range_of(Dimension dimension) {
  switch (dimension) {
    case Dimension::kTime:
      return {-1e10, 1e10};  // 300 years; a negative time is refused where it makes no sense
    case Dimension::kBytes:
      return {0, 9007199254740992.0};  // 2^53
    case Dimension::kBandwidth:
      return {0, 1e18};
    case Dimension::kOpsRate:
      return {0, 1e24};
    case Dimension::kRate:
      return {0, 1e9};
    case Dimension::kNumber:
      break;
  }
  return {-1e300, 1e300};
}

double parse_quantity(std::string_view text, Dimension dimension, double minimum, double maximum) {
  const std::string_view trimmed = trim(text);
  double number = 0;
  const auto [end, error] =
      std::from_chars(trimmed.data(), trimmed.data() + trimmed.size(), number);
  if (error != std::errc() || !std::isfinite(number)) {
    throw UnitError(fmt::format("found \"{}\", expected a number with a unit, e.g. \"{}\"", text,
                                example_of(dimension)));
  }
  const std::string_view unit =
      trim(trimmed.substr(static_cast<std::size_t>(end - trimmed.data())));
  for (const Unit& candidate : units_of(dimension)) {
    if (candidate.spelling != unit) continue;
    const double value = number * candidate.factor;
    const auto [least, most] = range_of(dimension);
    if (value >= least && value <= most) return value;
    throw UnitError(fmt::format("found \"{}\", allowed is {} to {}", text,
                                format_quantity(std::max(least, minimum), dimension),
                                format_quantity(std::min(most, maximum), dimension)));
  }
  if (unit.empty()) {
    throw UnitError(fmt::format("found \"{}\" without a unit, expected one of {} (e.g. \"{}\")",
                                text, allowed_units(dimension), example_of(dimension)));
  }
  throw UnitError(fmt::format("found unit \"{}\" in \"{}\", expected one of {} (e.g. \"{}\")", unit,
                              text, allowed_units(dimension), example_of(dimension)));
}

Bytes parse_bytes(std::string_view text) {
  const std::string_view trimmed = trim(text);
  const bool bare =
      !trimmed.empty() && trimmed.find_first_not_of("0123456789") == std::string_view::npos;
  const double value =
      parse_quantity(bare ? std::string(trimmed) + "B" : std::string(trimmed), Dimension::kBytes);
  const double whole = std::round(value);  // 1.1 x 1e9 is a whole number but for rounding
  if (std::fabs(value - whole) <= 1e-9 * whole) return static_cast<Bytes>(whole);
  throw UnitError(fmt::format("found \"{}\", allowed are whole bytes", text));
}

std::string format_quantity(double value, Dimension dimension) {
  struct Scale {
    double factor;
    std::string_view prefix;
  };
  const double size = std::fabs(value);
  if (dimension == Dimension::kNumber) return fmt::format("{:g}", value);
  if (dimension == Dimension::kTime) {
    if (size >= 1 || size == 0) return fmt::format("{:.4g} s", value);
    if (size >= 1e-3) return fmt::format("{:.4g} ms", value * 1e3);
    if (size >= 1e-6) return fmt::format("{:.4g} us", value * 1e6);
    return fmt::format("{:.4g} ns", value * 1e9);
  }
  constexpr std::array<Scale, 6> kScales{
      {{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}}};
  const std::string_view suffix = dimension == Dimension::kBytes       ? "B"
                                  : dimension == Dimension::kBandwidth ? "B/s"
                                  : dimension == Dimension::kOpsRate   ? "OPS"
                                                                       : "/s";
  for (const Scale& scale : kScales) {
    if (size >= scale.factor || scale.factor == 1) {
      return fmt::format("{:.4g} {}{}", value / scale.factor, scale.prefix, suffix);
    }
  }
  return {};
}

}  // namespace cmsim
