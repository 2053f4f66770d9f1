#include "cmsim/base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <numeric>

#include "cmsim/base/utf8.hpp"

namespace cmsim {
namespace {

std::string compose(const SourceLocation& where, const std::string& message) {
  std::string text = where.file;
  if (where.line > 0) text += fmt::format("{}{}", text.empty() ? "line " : ":", where.line);
  if (!where.pointer.empty()) text += fmt::format("{}{}", text.empty() ? "" : ": ", where.pointer);
  if (!text.empty()) text += ": ";
  return printable(text + message);
}

std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      const bool same = std::tolower(static_cast<unsigned char>(a[i - 1])) ==
                        std::tolower(static_cast<unsigned char>(b[j - 1]));
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// Characters alike at the front and, of what is left, at the end.
std::size_t alike_at_ends(const std::string& a, const std::string& b) {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t front = 0, back = 0;
  while (front < most && a[front] == b[front]) ++front;
  while (back < most - front && a[a.size() - 1 - back] == b[b.size() - 1 - back]) ++back;
  return front + back;
}

}  // namespace

ConfigError::ConfigError(SourceLocation where, const std::string& message)
    : std::runtime_error(compose(where, message)), where_(std::move(where)) {}

ConfigError::ConfigError(const std::string& message) : std::runtime_error(printable(message)) {}

std::string closest_match(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1, best_alike = 0;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    const std::size_t alike = alike_at_ends(word, candidate);
    const bool closer = distance < best_distance;
    if (!closer && (best.empty() || distance > best_distance || alike <= best_alike)) continue;
    best_distance = distance;
    best_alike = alike;
    best = candidate;
  }
  return best;
}

}  // namespace cmsim
