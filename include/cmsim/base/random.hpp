// Named random streams. Each stream is derived from (seed, name), so adding a stream never shifts
// another, and the same (seed, name) gives the same draws on every platform: the engine is fixed by
// the standard and the distributions are Boost's (std's differ between libraries).
#pragma once

#include <cstdint>
#include <random>
#include <string_view>

namespace cmsim {

class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view name);

  double uniform();                                               // [0, 1)
  std::int64_t uniform_int(std::int64_t low, std::int64_t high);  // both ends included
  bool bernoulli(double probability);
  double exponential(double mean);
  double normal(double mean, double deviation);
  double lognormal(double log_mean, double log_deviation);
  double gamma(double shape, double scale);
  double weibull(double shape, double scale);

  std::mt19937_64& engine() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

/// 64-bit hash of (seed, name) used to seed a stream; stable across platforms and versions.
std::uint64_t derive_seed(std::uint64_t seed, std::string_view name);

}  // namespace cmsim
