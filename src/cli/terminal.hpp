// The three standard streams, and numbers as people read them.
//
// stdout has results: print() fails with an OutputError when it cannot deliver them. stderr has
// everything else: say() never fails, because no message is worth a result.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace cmsim::cli {

enum class Stream { kOut, kError };

/// Puts something on descriptors 0 to 2 where the caller closed them, so that no file that is
/// opened later takes their place: what goes to a closed stdout fails, to a closed stderr vanishes.
/// A closed pipe and a file that may not grow become errors of the write instead of signals.
void secure_standard_streams();

void print_text(std::string_view text);
template <class... Args>
void print(fmt::format_string<Args...> format, Args&&... args) {
  print_text(fmt::format(format, std::forward<Args>(args)...));
}
/// Delivers what was printed, also through std::cout. Throws OutputError.
void flush_results();

void say_text(std::string_view text);
template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  say_text(fmt::format(format, std::forward<Args>(args)...));
}

bool is_terminal(Stream stream);
/// Of a terminal, at least 20; 80 when it does not say or is none.
std::size_t terminal_columns(Stream stream);

enum class Paint { kPlain, kColour };
/// Colour on a terminal, unless NO_COLOR is set or TERM is "dumb".
Paint paint_for(Stream stream);

enum class Style { kBold, kGood, kWarn, kBad, kFaint };
std::string styled(const std::string& text, Style style, Paint paint);

std::string grouped(std::int64_t value);  // 12031 -> "12,031"
/// Four significant digits, grouped: 0.01234 -> "0.01234", 15.67 -> "15.67", 45123.4 -> "45,123".
std::string figure(double value);
std::string percent(double share);  // 0.3664 -> "36.6 %"
/// Rounded up: 45 -> "45 s", 150 -> "2 min 30 s", 9000 -> "2 h 30 min".
std::string duration_text(double seconds);

}  // namespace cmsim::cli
