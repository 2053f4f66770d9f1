#include "numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace cmsim::check {
namespace {

constexpr int kFewest = 4, kMost = 10;

/// With commas between thousands.
std::string with_commas(std::string text) {
  const std::size_t first = text.find_first_of("0123456789");
  for (std::size_t at = std::min(text.find_first_of(". "), text.size()); at > first + 3;) {
    text.insert(at -= 3, ",");
  }
  return text;
}

}  // namespace

std::string grouped(double value, int digits) {
  if (!std::isfinite(value)) return fmt::format("{}", value);
  const int whole = value == 0 ? 1 : static_cast<int>(std::floor(std::log10(std::fabs(value)))) + 1;
  if (whole < -3 || whole > 8) return fmt::format("{:.{}g}", value, digits);
  const bool integer = value == std::floor(value);
  return with_commas(fmt::format("{:.{}f}", value, integer ? 0 : std::max(0, digits - whole)));
}

std::pair<std::string, std::string> told_apart(double a, double b) {
  if (a == b) return {grouped(a, kFewest), grouped(b, kFewest)};
  int digits = kFewest;
  const auto alike = [&] {
    return fmt::format("{:.{}g}", a, digits) == fmt::format("{:.{}g}", b, digits);
  };
  while (digits < kMost && alike()) ++digits;
  return {grouped(a, digits), grouped(b, digits)};
}

std::string signed_percent(double share) {
  const double percent = share * 100;
  if (std::fabs(percent) < 0.1) return fmt::format("{:+.1g} %", percent);
  return std::fabs(percent) < 1e7 ? with_commas(fmt::format("{:+.1f} %", percent))
                                  : fmt::format("{:+.3g} %", percent);
}

}  // namespace cmsim::check
