#include "wall_clock.hpp"

#include <chrono>

namespace cmsim::work {
namespace {

/// Takes fields off the front of a text; one that does not fit marks the whole as failed.
class FieldScanner {
 public:
  explicit FieldScanner(std::string_view text) : text_(text) {}

  /// A number of exactly `digits` digits within [low, high].
  int number(std::size_t digits, int low, int high) {
    int value = 0;
    if (text_.size() < digits) failed_ = true;
    for (std::size_t i = 0; i < digits && !failed_; ++i) {
      if (text_[i] < '0' || text_[i] > '9') failed_ = true;
      value = value * 10 + (text_[i] - '0');
    }
    if (value < low || value > high) failed_ = true;
    if (!failed_) text_.remove_prefix(digits);
    return failed_ ? low : value;
  }
  bool take(char c) {
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void require(char c) {
    if (!take(c)) failed_ = true;
  }
  /// The digits after a decimal point.
  double fraction() {
    double value = 0, place = 0.1;
    std::size_t digits = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      value += place * (text_[digits] - '0');
      place /= 10;
    }
    if (digits == 0) failed_ = true;
    text_.remove_prefix(digits);
    return value;
  }
  bool complete() const { return !failed_ && text_.empty(); }

 private:
  std::string_view text_;
  bool failed_ = false;
};

}  // namespace

std::optional<WallClock> parse_wall_clock(std::string_view text) {
  FieldScanner scan(text);
  const int year = scan.number(4, 1970, 9999);
  scan.require('-');
  const int month = scan.number(2, 1, 12);
  scan.require('-');
  const int day = scan.number(2, 1, 31);
  if (!scan.take('T')) scan.require(' ');
  const int hour = scan.number(2, 0, 23);
  scan.require(':');
  const int minute = scan.number(2, 0, 59);
  scan.require(':');
  const int second = scan.number(2, 0, 60);
  WallClock clock;
  if (scan.take('.')) clock.fraction = scan.fraction();
  int offset = 0;
  if (!scan.take('Z')) {
    const bool east = scan.take('+');
    if (east || scan.take('-')) {
      offset = scan.number(2, 0, 23) * 3600;
      scan.require(':');
      offset += scan.number(2, 0, 59) * 60;
      if (!east) offset = -offset;
    }
  }
  if (!scan.complete()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  clock.seconds =
      static_cast<std::int64_t>(days) * 86400 + hour * 3600 + minute * 60 + second - offset;
  return clock;
}

}  // namespace cmsim::work
