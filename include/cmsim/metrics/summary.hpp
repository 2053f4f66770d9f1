// Figures that follow from the request records alone: counts, latencies, throughput, goodput,
// phases, and which requests met the SLO.
#pragma once

#include <span>
#include <vector>

#include "cmsim/metrics/result.hpp"
#include "cmsim/serve/deployment.hpp"

namespace cmsim::metrics {

/// Output tokens a finished request had from this run (in a prefill-only run: the first alone).
Tokens output_of(const serve::RequestRecord& record, serve::Role role);

/// Whether a finished request kept both limits. One without a TPOT keeps any TPOT limit.
struct SloCheck {
  bool ttft = false, tpot = false;
  bool both() const { return ttft && tpot; }
};
SloCheck check_slo(const serve::RequestRecord& record, const SloSpec& slo);

/// Latencies, SLO and goodput are of what ends in this window. A run of one role alone shows its
/// steady state, so it is the steady window, without ramp and drain; in any other run, or when
/// nothing ended in it, it is endless.
SteadyWindow measured_window(std::span<const serve::RequestRecord> records, serve::Role role,
                             const SteadyWindow& steady);

/// Fills counts, throughput, latencies (except ITL), SLO verdict, phases, load and steady window.
void summarize_requests(Result& result, serve::Role role, const SloSpec& slo, Seconds run_end);

/// Every gap between consecutive outputs of a request, pooled over requests: a step that began
/// where the one before ended is a gap of (end - previous end) for each sequence that went on.
Distribution pooled_itl_ms(std::span<const StepSample> steps, const SteadyWindow& measured);

/// Prompt tokens (cached ones included) per second in the window; a request's are spread evenly
/// over its prefill.
double prompt_rate(std::span<const serve::RequestRecord> records, const SteadyWindow& window);
/// Output tokens per second in the window; a step's are spread evenly over its duration.
double output_rate(std::span<const StepSample> steps, const SteadyWindow& window);

}  // namespace cmsim::metrics
