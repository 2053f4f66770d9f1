// Text for the terminal that stdout is, or for 80 columns when it is none: columns, some on the
// left that name a row, then figures, which are broken into blocks one below the other where they
// would be wider; and paragraphs.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "terminal.hpp"

namespace cmsim::cli {

struct TextTable {
  std::size_t names = 1;                       // columns on the left, which every block repeats
  std::vector<std::vector<std::string>> rows;  // the first is the head

  /// Ends with a newline; the head is bold when painted.
  std::string text(Paint paint) const;
  /// Whether it is one block.
  bool fits() const;

 private:
  std::vector<std::size_t> widest() const;  // of each column
};

/// The words of a paragraph in lines that fit, all but the first after `indent` blanks; the first
/// begins at `column`.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t column = 0);
/// The same in lines of `most` columns, whatever the terminal has.
std::string wrapped_within(std::size_t most, const std::string& text, std::size_t indent,
                           std::size_t column = 0);

/// Columns that a text takes on the terminal, when it is UTF-8 without wide characters.
std::size_t width_of(const std::string& text);

/// `text` cut to `most` columns, with an ellipsis in place of what is left out of its middle.
std::string elided(const std::string& text, std::size_t most);

/// "+45,896.40".
std::string signed_fixed(double value, int decimals);

/// "65.2 ± 1.3": two digits of the half width where the mean has no more than five; else the half
/// width is rounded up.
std::string with_interval(double mean, double half, int most_decimals = 9);

}  // namespace cmsim::cli
