// Numbers as tables of moves show them.
#pragma once

#include <string>
#include <utility>

namespace cmsim::check {

/// With thousands grouped and four significant digits, or as many (up to 10) as tell the two apart.
std::pair<std::string, std::string> told_apart(double a, double b);

std::string grouped(double value, int digits);  // 59944.91, 4 -> "59,945"

/// "+3.0 %", "-0.0004 %".
std::string signed_percent(double share);

}  // namespace cmsim::check
