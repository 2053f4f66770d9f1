// How requests of a kind were served, how fairly, and how evenly the parts of the system were used.
//
// Of a cohort, from its request records alone. Every formula: docs/output.md.
#pragma once

#include <span>

#include "cmsim/metrics/figures.hpp"

namespace cmsim::metrics {

ServiceResult service_of(const Records& records, const SystemFacts& facts, const Cohort& cohort);

}  // namespace cmsim::metrics
