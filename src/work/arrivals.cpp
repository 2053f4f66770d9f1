#include "arrivals.hpp"

#include <fmt/format.h>

#include "cmsim/base/error.hpp"

namespace cmsim::work {

ArrivalProcess::ArrivalProcess(const ArrivalSpec& spec, const std::string& where,
                               RandomStream random)
    : spec_(spec), random_(std::move(random)) {
  const auto require = [&](bool fits, const std::string& field, double found,
                           std::string_view allowed) {
    if (fits) return;
    throw ConfigError(
        {.file = "", .line = 0, .pointer = where + field},
        fmt::format("found {}, arrivals of kind {} need {}", found, name_of(spec.kind), allowed));
  };
  require(spec.rate >= kLeastRate && spec.rate <= kMostRate, "/rate", spec.rate,
          fmt::format("a rate of {:g} to {:g} requests/s", kLeastRate, kMostRate));
  require(spec.kind != ArrivalKind::kGamma || (spec.burstiness >= 1e-4 && spec.burstiness <= 1e6),
          "/burstiness", spec.burstiness, "a burstiness of 1e-4 to 1e6");
}

Seconds ArrivalProcess::gap() {
  switch (spec_.kind) {
    case ArrivalKind::kPoisson:
      return random_.exponential(1 / spec_.rate);
    case ArrivalKind::kGamma:
      return random_.gamma(spec_.burstiness, 1 / (spec_.rate * spec_.burstiness));
    default:
      return 0;  // not asked for: see next()
  }
}

Seconds ArrivalProcess::next() {
  const std::int64_t index = count_++;
  if (index == 0) return 0;
  // Constant arrivals are multiples of the gap, not a sum of gaps, which would drift.
  if (spec_.kind == ArrivalKind::kConstant) return static_cast<double>(index) / spec_.rate;
  return now_ += gap();
}

std::string_view name_of(ArrivalKind kind) {
  switch (kind) {
    case ArrivalKind::kTrace:
      return "trace";
    case ArrivalKind::kPoisson:
      return "poisson";
    case ArrivalKind::kGamma:
      return "gamma";
    case ArrivalKind::kConstant:
      return "constant";
    case ArrivalKind::kAllAtOnce:
      return "all_at_once";
    case ArrivalKind::kClosedLoop:
      return "closed_loop";
  }
  return "";
}

}  // namespace cmsim::work
