#include "terminal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <string_view>

namespace cmsim::cli {

bool is_terminal(Stream stream) {
  return isatty(stream == Stream::kOut ? STDOUT_FILENO : STDERR_FILENO) == 1;
}

Paint paint_for(Stream stream) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool refused = (no_color != nullptr && *no_color != '\0') ||
                       (term != nullptr && std::string_view(term) == "dumb");
  return is_terminal(stream) && !refused ? Paint::kColour : Paint::kPlain;
}

std::string styled(const std::string& text, Style style, Paint paint) {
  if (paint == Paint::kPlain) return text;
  const char* code = "";
  switch (style) {
    case Style::kBold:
      code = "1";
      break;
    case Style::kGood:
      code = "32";
      break;
    case Style::kWarn:
      code = "33";
      break;
    case Style::kBad:
      code = "31";
      break;
    case Style::kFaint:
      code = "2";
      break;
  }
  return fmt::format("\033[{}m{}\033[0m", code, text);
}

std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  const int first = value < 0 ? 1 : 0;
  for (int at = static_cast<int>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), ",");
  }
  return digits;
}

std::string figure(double value) {
  if (!std::isfinite(value)) return "-";
  if (std::fabs(value) >= 1000) return grouped(std::llround(value));
  return fmt::format("{:.4g}", value);
}

std::string percent(double share) { return fmt::format("{:.1f} %", share * 100); }

}  // namespace cmsim::cli
