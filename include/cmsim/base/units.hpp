// Quantities and their spelling in files: "28GB/s", "1.9us", "64GB", "200Gbps", "376TFLOPS".
//
// Inside the program a quantity is a number in the base unit of its alias below. Prefixes are
// decimal (1 GB = 1e9 B) unless binary ones are written (GiB); "bps" is bits, "B/s" bytes.
//   "28GB/s" -> 2.8e10   "224Gbps" -> 2.8e10   "1.9us" -> 1.9e-6   "7.5KiB" -> 7680   "70%" -> 0.7
// A bare number is accepted only for Dimension::kNumber. Text with a unit becomes a number here and
// nowhere else, so that every one is finite and within range_of() its dimension.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cmsim {

using Seconds = double;         // simulated time; SimGrid's clock is a double
using Bytes = std::int64_t;     // sizes
using Tokens = std::int64_t;    // tokens
using BytesPerSecond = double;  // bandwidth
using OpsPerSecond = double;    // arithmetic rate (FLOPS or OPS)

enum class Dimension { kNumber, kTime, kBytes, kBandwidth, kOpsRate, kRate };

/// The text is not a quantity of the dimension asked for; what() says what was found and what is
/// allowed.
class UnitError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// What a quantity can be, in base units, both ends included: beyond it lies no machine and no
/// workload, and below the upper ends sums and products of a few quantities keep their precision
/// (bytes stay whole numbers of a double).
struct Range {
  double least, most;
};
Range range_of(Dimension dimension);

/// Reads `text` as a quantity of `dimension`, in base units (s, B, B/s, op/s, 1/s). Throws
/// UnitError when it is none, or out of range_of(dimension), of which it names what is within
/// `minimum` and `maximum`.
double parse_quantity(std::string_view text, Dimension dimension,
                      double minimum = -std::numeric_limits<double>::infinity(),
                      double maximum = std::numeric_limits<double>::infinity());

/// A size: a whole number of bytes, bare ("1000000") or with a unit ("64MB"). Throws UnitError.
Bytes parse_bytes(std::string_view text);

/// A short human spelling with a prefix: format_quantity(2.8e10, kBandwidth) == "28 GB/s".
std::string format_quantity(double value, Dimension dimension);

/// An example of the dimension's spelling for messages, e.g. "28GB/s" for bandwidth.
std::string_view example_of(Dimension dimension);

}  // namespace cmsim
