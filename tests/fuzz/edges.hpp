// Values at the edges of what a number, a quantity or a text can be, drawn at random.
#pragma once

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>

namespace cmsim::fuzz {

using nlohmann::json;

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed + 1U) { engine_.discard(3); }
  /// 0 to count - 1; count > 0.
  std::size_t below(std::size_t count) { return engine_() % count; }
  bool one_in(std::size_t count) { return below(count) == 0; }
  template <class Container>
  const auto& of(const Container& choices) {
    return choices[below(choices.size())];
  }

 private:
  std::minstd_rand engine_;
};

/// Numbers at the edges of their kinds, and some that sizes and counts often are.
inline json edge_number(Random& random) {
  static const json kEdges = json::parse(R"([
      0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 31, 64, 100, 255, 256, 1000, 4096, 65536, 1048576,
      2147483647, 2147483648, -2147483648, 4294967295, 9007199254740993, 9223372036854775807,
      -9223372036854775808, 18446744073709551615, 0.0, -0.0, 0.1, 0.5, 0.999999, 1.000001, 2.5,
      1e-6, 1e-300, 5e-324, 1e15, 9.3e18, 1e19, 1e300, 1.7976931348623157e308, -1e300])");
  return random.of(kEdges);
}

/// A quantity, mostly of a unit, of any dimension when none is given.
inline std::string edge_quantity(Random& random, std::string_view unit = "") {
  static const json kNumbers = json::parse(R"([
      "0", "1", "-1", "2", "8", "0.5", "1.9", "28", "64", "1e-300", "5e-324", "1e-9", "1e-6", "1e6",
      "1e9", "1e18", "1e19", "1e30", "1e300", "1.7e308", "1e400", "9223372036854775807", "1e", "nan",
      "inf", "0x1p3", "-0", ".5", "1,5", ""])");
  static const json kUnits = json::parse(R"([
      "", "%", "ns", "us", "µs", "ms", "s", "min", "h", "B", "kB", "MB", "GB", "TB", "KiB", "TiB",
      "B/s", "GB/s", "TiB/s", "bps", "Gbps", "Tbps", "OPS", "TFLOPS", "POPS", "/s", "/min", "/h",
      " GB/s ", "parsec"])");
  return random.of(kNumbers).get<std::string>() +
         (unit.empty() ? random.of(kUnits).get<std::string>() : std::string(unit));
}

inline std::string edge_text(Random& random) {
  static const json kTexts = json::parse(R"([
      "", " ", "auto", "null", "x", "-", "~", "/", "~1/~0", "{}", "a b", "é", "日本語",
      "\ud83d\ude00", "e\u0301", "\u2028", "a\nb", "a\tb", "\u007f", "\u0000", "\u001b[31m",
      "../../x", "{0}", "%s%n", "\"", "\\"])");
  switch (random.below(6)) {
    case 0:
    case 1:
      return edge_quantity(random);
    case 2:
      return std::string(random.one_in(2) ? 300 : 57, 'a') + (random.one_in(2) ? "日本語" : "");
    default:
      return random.of(kTexts).get<std::string>();
  }
}

}  // namespace cmsim::fuzz
