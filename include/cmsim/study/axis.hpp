// What a study varies: a JSON pointer and the values it takes, as they are written in --set; or an
// option of the command that is studied ("--batch").
//
//   /slo/tpot=15ms,50ms                              these values
//   /platform/rdma/die_bandwidth=10GB/s..40GB/s:4    4 values at equal distances: 10, 20, 30, 40
//   /workload/arrivals/rate=log:1..16:5              5 values at equal ratios: 1, 2, 4, 8, 16
//   /deployment/prefill/instances=2..6               every whole number
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cmsim::study {

inline constexpr std::size_t kMostValues = 100'000;  // of an axis, and of seeds

/// The axis with this in place of a pointer has whole assignments as its values, "" for none.
inline constexpr const char* kAlternatives = "set";

struct Axis {
  std::string pointer;
  std::vector<std::string> values;
};

/// Whether a value may come more than once: on an axis that advances together with others it may.
enum class Repeats { kRefused, kAllowed };

/// "/pointer=values" or "--option=values"; `origin` names the text in messages, e.g. "--vary".
/// Throws ConfigError.
Axis parse_axis(const std::string& text, const std::string& origin,
                Repeats repeats = Repeats::kRefused);

/// What stands right of the "="; commas within quotes, brackets and braces do not separate.
std::vector<std::string> parse_values(std::string_view text, const std::string& origin,
                                      Repeats repeats = Repeats::kRefused);

/// What is wrong with values as those of one axis: one comes twice, or there are too many; "" when
/// nothing is.
std::string problem_of(const std::vector<std::string>& values, Repeats repeats);

/// "1..12", "3", "1,2,7". Throws ConfigError, also when a seed comes twice.
std::vector<std::uint64_t> parse_seeds(const std::string& text, const std::string& origin);

/// Whether a JSON pointer is another one or lies below it: "/a/b" within "/a", not "/ab".
bool is_within(std::string_view pointer, std::string_view outer);

/// The number in front of a value and what follows it: "28GB/s" is {28, "GB/s"}, "0.5" {0.5, ""}.
struct Quantity {
  double number;
  std::string unit;
};
std::optional<Quantity> split_quantity(std::string_view text);

/// `text` as a number in the base unit of whatever it is a quantity of; none when it is no number.
std::optional<double> numeric_value(std::string_view text);

}  // namespace cmsim::study
