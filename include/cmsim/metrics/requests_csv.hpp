// requests.csv: one row per request, in order of the trace, with every phase.
//
// Times are seconds with six decimals; each time is rounded to a microsecond before differences are
// taken, so in every row the phases of a finished request add up exactly to finished - arrival.
// What did not happen is an empty cell. Columns: docs/output.md.
#pragma once

#include <span>
#include <string>

#include "cmsim/serve/cluster.hpp"
#include "cmsim/serve/deployment.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

std::string requests_csv(std::span<const serve::RequestRecord> records,
                         std::span<const serve::RequestClass> classes, serve::Role role);
/// The header line, without its end of line.
std::string requests_csv_header();

}  // namespace cmsim::metrics
