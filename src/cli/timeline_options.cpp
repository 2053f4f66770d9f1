#include "timeline_options.hpp"

#include <fmt/format.h>

#include <tuple>

#include "cmsim/base/error.hpp"
#include "cmsim/base/files.hpp"
#include "cmsim/work/gzip.hpp"
#include "commands.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

/// "10s..20s"
std::pair<Seconds, Seconds> read_window(const std::string& text) {
  const SourceLocation where{"--timeline-window " + text, 0, ""};
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) throw ConfigError(where, "expected FROM..TO, e.g. 10s..20s");
  try {
    const Seconds from = parse_quantity(text.substr(0, dots), Dimension::kTime);
    const Seconds to = parse_quantity(text.substr(dots + 2), Dimension::kTime);
    if (from >= 0 && from < to) return {from, to};
  } catch (const UnitError& error) {
    throw ConfigError(where, error.what());
  }
  throw ConfigError(where, "expected a begin from 0 on and an end after it");
}

}  // namespace

void TimelineOptions::add_to(CLI::App& sub) {
  sub.add_option("--timeline", file,
                 "Write requests, instances, transfers and faults as a Chrome trace, packed when "
                 "its name ends in .gz; open it at https://ui.perfetto.dev")
      ->type_name("FILE");
  sub.add_option("--timeline-sample", sample,
                 "Of requests and of transfers of a kind only every N-th; steps and batches all")
      ->type_name("N")
      ->transform(whole_from(1));
  sub.add_option("--timeline-window", window, "Only what has a part in this time, e.g. 10s..20s")
      ->type_name("FROM..TO");
}

std::optional<metrics::RunTrace> TimelineOptions::listener(const run::Scenario& scenario) const {
  if (!file) return std::nullopt;
  check_place_of(*file);
  metrics::RunTraceOptions options;
  options.every = sample;
  if (window) std::tie(options.from, options.to) = read_window(*window);
  for (const hw::Fault& fault : scenario.platform.faults) options.faults.push_back(fault.text);
  return metrics::RunTrace(std::move(options));
}

std::string TimelineOptions::write(const metrics::RunTrace& trace) const {
  write_whole(*file, work::packed_for(*file, trace.text()));
  std::string told = fmt::format("wrote {}: open it at https://ui.perfetto.dev\n", *file);
  if (trace.left_out() > 0) {
    told += fmt::format(
        "  it has the first {}, {} more are left out; see --timeline-sample, --timeline-window\n",
        grouped(metrics::RunTrace::kMostSpans),
        grouped(static_cast<std::int64_t>(trace.left_out())));
  }
  return told;
}

}  // namespace cmsim::cli
