// requests.csv: one row per request, in order of the trace, with every phase.
//
// Times are seconds with six decimals; each time is rounded to a microsecond before differences are
// taken, so in every row the phases of a finished request add up exactly to finished - arrival.
// What did not happen is an empty cell. Columns: docs/output.md.
#pragma once

#include <fmt/format.h>

#include <span>
#include <string>
#include <string_view>

#include "cmsim/metrics/records.hpp"
#include "cmsim/serve/cluster.hpp"
#include "cmsim/serve/deployment.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

/// Piece by piece; the records and classes must outlive it.
class RequestsCsv {
 public:
  RequestsCsv(const Records& records, std::span<const serve::RequestClass> classes,
              serve::Role role);
  /// The next whole lines, the header before the first; empty at the end. Valid until the next.
  std::string_view next();

 private:
  Records::Iterator at_;
  std::span<const serve::RequestClass> classes_;
  serve::Role role_;
  bool at_start_ = true;
  fmt::memory_buffer piece_;
};

/// The header line, without its end of line.
std::string requests_csv_header();

}  // namespace cmsim::metrics
