// What a terminal needs: whether to colour, and numbers as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace cmsim::cli {

enum class Stream { kOut, kError };

bool is_terminal(Stream stream);

enum class Paint { kPlain, kColour };
/// Colour on a terminal, unless NO_COLOR is set or TERM is "dumb".
Paint paint_for(Stream stream);

enum class Style { kBold, kGood, kWarn, kBad, kFaint };
std::string styled(const std::string& text, Style style, Paint paint);

std::string grouped(std::int64_t value);  // 12031 -> "12,031"
/// Four significant digits, grouped: 0.01234 -> "0.01234", 15.67 -> "15.67", 45123.4 -> "45,123".
std::string figure(double value);
std::string percent(double share);  // 0.3664 -> "36.6 %"

}  // namespace cmsim::cli
