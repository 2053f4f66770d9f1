#include "shown.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "cmsim/base/utf8.hpp"
#include "numbers.hpp"

namespace cmsim::check {
namespace {

std::string cell_of(const nlohmann::json& value) {
  if (value.is_null()) return "-";
  return value.is_string() ? cut(printable(value.get<std::string>()), 14)
                           : cut(value.dump(-1, ' ', true), 14);
}

std::string change_of(const MetricMove& move) {
  if (same(move.old, move.now)) return "same";
  return move.relative() && move.old.is_number() ? signed_percent(*move.relative()) : "moved";
}

}  // namespace

std::string cut(const std::string& text, std::size_t most) {
  const auto starts = [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; };
  if (static_cast<std::size_t>(std::ranges::count_if(text, starts)) <= most) return text;
  std::size_t at = 0;
  for (std::size_t characters = 0; at < text.size(); ++at) {
    if (starts(text[at]) && characters++ == most - 3) break;
  }
  return text.substr(0, at) + "...";
}

Shown shown(const MetricMove& move) {
  const std::string& unit = move.metric.unit;
  Shown row{printable(unit.empty() ? move.metric.name : move.metric.name + ", " + unit),
            cell_of(move.old), cell_of(move.now), change_of(move)};
  if (move.old.is_number() && move.now.is_number()) {
    std::tie(row.old, row.now) = told_apart(move.old.get<double>(), move.now.get<double>());
  }
  return row;
}

}  // namespace cmsim::check
