#include "cmsim/base/json_text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace cmsim {
namespace {

constexpr int kDigits = 12;

void round_numbers(nlohmann::ordered_json& value) {
  if (value.is_number_float()) {
    auto& number = value.get_ref<nlohmann::ordered_json::number_float_t&>();
    number = to_12_digits(number);
  } else if (value.is_structured()) {
    for (nlohmann::ordered_json& element : value) round_numbers(element);
  }
}

}  // namespace

double to_12_digits(double value) {
  if (!std::isfinite(value) || (std::trunc(value) == value && std::abs(value) < 0x1p53)) {
    return value;
  }
  char text[32];
  const char* end = fmt::format_to_n(text, sizeof text, "{:.{}e}", value, kDigits - 1).out;
  double rounded = value;
  std::from_chars(text, end, rounded);
  return rounded;
}

std::string number_text(double value) { return fmt::format("{}", to_12_digits(value)); }

std::string json_text(nlohmann::ordered_json value, JsonLayout layout) {
  round_numbers(value);
  return value.dump(layout == JsonLayout::kIndented ? 2 : -1);
}

}  // namespace cmsim
