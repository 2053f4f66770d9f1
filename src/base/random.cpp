#include "cmsim/base/random.hpp"

#include <boost/random/exponential_distribution.hpp>
#include <boost/random/gamma_distribution.hpp>
#include <boost/random/lognormal_distribution.hpp>
#include <boost/random/normal_distribution.hpp>
#include <boost/random/uniform_01.hpp>
#include <boost/random/uniform_int_distribution.hpp>
#include <boost/random/weibull_distribution.hpp>

namespace cmsim {
namespace {

// splitmix64's finaliser: every bit of the input reaches every bit of the output.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

}  // namespace

std::uint64_t derive_seed(std::uint64_t seed, std::string_view name) {
  std::uint64_t state = mix(seed);
  for (const char byte : name) state = mix(state ^ static_cast<unsigned char>(byte));
  return state;
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view name)
    : engine_(derive_seed(seed, name)) {}

double RandomStream::uniform() { return boost::random::uniform_01<double>()(engine_); }

std::int64_t RandomStream::uniform_int(std::int64_t low, std::int64_t high) {
  return boost::random::uniform_int_distribution<std::int64_t>(low, high)(engine_);
}

bool RandomStream::bernoulli(double probability) { return uniform() < probability; }

double RandomStream::exponential(double mean) {
  return boost::random::exponential_distribution<double>(1 / mean)(engine_);
}

double RandomStream::normal(double mean, double deviation) {
  return boost::random::normal_distribution<double>(mean, deviation)(engine_);
}

double RandomStream::lognormal(double log_mean, double log_deviation) {
  return boost::random::lognormal_distribution<double>(log_mean, log_deviation)(engine_);
}

double RandomStream::gamma(double shape, double scale) {
  return boost::random::gamma_distribution<double>(shape, scale)(engine_);
}

double RandomStream::weibull(double shape, double scale) {
  return boost::random::weibull_distribution<double>(shape, scale)(engine_);
}

}  // namespace cmsim
