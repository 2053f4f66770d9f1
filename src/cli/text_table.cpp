#include "text_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace cmsim::cli {
namespace {

constexpr std::size_t kGap = 2;              // blanks between columns
constexpr std::size_t kLeastParagraph = 20;  // columns of a paragraph, on however narrow a terminal

std::string padded(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, width_of(text)), ' ');
}

/// With digits after the point and commas before it.
std::string fixed(double value, int decimals) {
  const std::string text = fmt::format("{:.{}f}", std::fabs(value), decimals);
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string whole = text.substr(0, point);
  for (int at = static_cast<int>(whole.size()) - 3; at > 0; at -= 3) {
    whole.insert(static_cast<std::size_t>(at), ",");
  }
  const bool zero = text.find_first_not_of("0.") == std::string::npos;
  return (value < 0 && !zero ? "-" : "") + whole + text.substr(point);
}

}  // namespace

std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::string elided(const std::string& text, std::size_t most) {
  if (width_of(text) <= most || text.size() > width_of(text)) return text;
  const std::size_t front = (most - 1) / 2;
  return text.substr(0, front) + "…" + text.substr(text.size() - (most - 1 - front));
}

std::string with_interval(double mean, double half, int most_decimals) {
  if (half <= 0) return figure(mean);
  const auto decade = [](double value) { return static_cast<int>(std::floor(std::log10(value))); };
  constexpr int kDigits = 5, kDigitsOfHalf = 2;
  int decimals = kDigitsOfHalf - 1 - decade(half);
  if (mean != 0) decimals = std::min(decimals, kDigits - 1 - decade(std::fabs(mean)));
  decimals = std::clamp(decimals, 0, most_decimals);
  const double step = std::pow(10, -decimals);
  return fixed(mean, decimals) + " ± " + fixed(std::max(half, step), decimals);
}

std::string signed_fixed(double value, int decimals) {
  const std::string text = fixed(value, decimals);
  return (value >= 0 ? "+" : "") + text;
}

std::string wrapped(const std::string& text, std::size_t indent, std::size_t column) {
  const std::size_t most = std::max(terminal_columns(Stream::kOut), indent + kLeastParagraph);
  return wrapped_within(most, text, indent, column);
}

std::string wrapped_within(std::size_t most, const std::string& text, std::size_t indent,
                           std::size_t column) {
  std::string lines;
  bool first = true;  // of its line
  std::istringstream words(text);
  for (std::string word; words >> word; first = false) {
    if (!first && column + 1 + width_of(word) > most) {
      lines += "\n" + std::string(indent, ' ');
      column = indent;
      first = true;
    }
    lines += (first ? "" : " ") + word;
    column += (first ? 0 : 1) + width_of(word);
  }
  return lines;
}

std::vector<std::size_t> TextTable::widest() const {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], width_of(row[c]));
  }
  return widths;
}

bool TextTable::fits() const {
  std::size_t width = 0;
  for (const std::size_t column : widest()) width += column + kGap;
  return width <= terminal_columns(Stream::kOut) + kGap;
}

std::string TextTable::text(Paint paint) const {
  const std::size_t columns = rows.front().size(), most = terminal_columns(Stream::kOut) + kGap;
  const std::vector<std::size_t> widths = widest();
  std::size_t left = 0;
  for (std::size_t c = 0; c < names; ++c) left += widths[c] + kGap;
  std::string text;
  for (std::size_t first = names; first < columns || first == names;) {
    std::size_t last = first, width = left;
    while (last < columns && (last == first || width + widths[last] + kGap <= most)) {
      width += widths[last++] + kGap;
    }
    if (first > names) text += "\n";
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::string line;
      for (std::size_t c = 0; c < names; ++c) {
        line += rows[r][c] + padded(rows[r][c], widths[c] + kGap);
      }
      for (std::size_t c = first; c < last; ++c) {
        line += padded(rows[r][c], widths[c]) + rows[r][c] + std::string(kGap, ' ');
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += (r == 0 ? styled(line, Style::kBold, paint) : line) + "\n";
    }
    first = std::max(last, first + 1);
  }
  return text;
}

}  // namespace cmsim::cli
