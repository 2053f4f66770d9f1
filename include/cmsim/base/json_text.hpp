// How results are printed: JSON text, and numbers in CSV, with 12 significant digits.
//
// Two CPU types may compute results that differ in their last bits (libm picks its variants by the
// machine); twelve digits are the same on both. A whole number below 2^53 is printed in full: it
// counts something. Never used for what is read back as input, which must not change.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace cmsim {

/// The double nearest to the 12 significant digits of `value`; the value itself when it is whole
/// and below 2^53, or not finite.
double to_12_digits(double value);

/// The shortest text of that number: "0.333333333333", "50", "1e-07"; "nan" and "inf" as such.
std::string number_text(double value);

/// JSON with every number so; indented by two spaces, or on one line.
enum class JsonLayout { kIndented, kOneLine };
std::string json_text(nlohmann::ordered_json value, JsonLayout layout = JsonLayout::kIndented);

}  // namespace cmsim
