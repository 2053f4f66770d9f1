// Columns of text for a terminal: some on the left that name a row, then figures, which are broken
// into blocks one below the other where they would be wider than a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "terminal.hpp"

namespace cmsim::cli {

inline constexpr std::size_t kWidestLine = 100;

struct TextTable {
  std::size_t names = 1;                       // columns on the left, which every block repeats
  std::vector<std::vector<std::string>> rows;  // the first is the head

  /// Ends with a newline; the head is bold when painted.
  std::string text(Paint paint) const;
};

/// Columns that a text takes on the terminal, when it is UTF-8 without wide characters.
std::size_t width_of(const std::string& text);

/// `text` cut to `most` columns, with an ellipsis in place of what is left out of its middle.
std::string elided(const std::string& text, std::size_t most);

/// "65.2 ± 1.3": two digits of the half width where the mean has no more than five; else the half
/// width is rounded up.
std::string with_interval(double mean, double half, int most_decimals = 9);

}  // namespace cmsim::cli
