#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace cmsim::cli {
namespace {

using metrics::Distribution;
using metrics::Result;

class Report {
 public:
  explicit Report(Paint paint) : paint_(paint) {}

  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }
  /// A row of the form "Name        text".
  void row(const std::string& name, const std::string& text) {
    out_ += style(fmt::format("{:<12}", name), Style::kBold) + text + '\n';
  }
  void blank() { out_ += '\n'; }
  std::string style(const std::string& text, Style style) const {
    return styled(text, style, paint_);
  }
  std::string take() { return std::move(out_); }

 private:
  Paint paint_;
  std::string out_;
};

void add_head(Report& report, const Result& r) {
  const auto& load = r.load;
  const Style style = load.load == metrics::Load::kStable       ? Style::kGood
                      : load.load == metrics::Load::kBacklogged ? Style::kWarn
                                                                : Style::kBad;
  report.row("Scenario", fmt::format("{}, seed {}, trace {}", r.provenance.scenario,
                                     r.provenance.seed, r.provenance.trace));
  std::string requests =
      fmt::format("{} of {} finished", grouped(r.requests.finished), grouped(r.requests.total));
  for (const auto& [reason, count] : r.requests.not_finished) {
    requests += report.style(fmt::format(", {} {}", grouped(count), reason), Style::kBad);
  }
  if (r.requests.preempted > 0)
    requests += fmt::format(", {} preempted", grouped(r.requests.preempted));
  report.row("Requests", requests + fmt::format(" in {} s", figure(r.duration)) +
                             (r.partial ? report.style("  PARTIAL", Style::kBad) : ""));
  report.row("Load", report.style(to_string(load.load), style) +
                         fmt::format(": {} requests/s, {} of latency spent waiting, {} s to drain",
                                     figure(load.arrival_rate), percent(load.waiting_share),
                                     figure(load.drain)));
}

void add_throughput(Report& report, const Result& r) {
  report.row("Throughput",
             fmt::format("{} output tokens/s, {} tokens/s in all, {} requests/s, goodput {}/s",
                         figure(r.output_throughput), figure(r.total_token_throughput),
                         figure(r.request_throughput), figure(r.request_goodput)));
  std::string steady;
  const auto add = [&](const char* name, const std::optional<metrics::RoleResult>& role) {
    if (!role) return;
    steady += fmt::format("{}{} {} tokens/s per NPU", steady.empty() ? "" : ", ", name,
                          figure(role->steady_tokens_per_second_per_npu));
  };
  add("prefill", r.prefill);
  add("decode", r.decode);
  report.row(r.steady.steady ? "Steady" : "Whole run",
             steady + fmt::format(" ({} to {} s)", figure(r.steady.from), figure(r.steady.to)));
}

void add_latencies(Report& report, const Result& r) {
  report.blank();
  report.line("{}", report.style(fmt::format("{:<20}{:>11}{:>11}{:>11}", "Latency, ms", "mean",
                                             "p50", "p99"),
                                 Style::kBold));
  const auto add = [&](const char* name, const Distribution& d) {
    if (d.count == 0) return;
    report.line("  {:<18}{:>11}{:>11}{:>11}", name, figure(d.mean), figure(d.median),
                figure(d.p99));
  };
  add("TTFT", r.ttft_ms);
  add("TPOT", r.tpot_ms);
  add("ITL", r.itl_ms);
  add("E2E", r.e2el_ms);
}

void add_phases(Report& report, const Result& r) {
  report.blank();
  report.line("{}", report.style(fmt::format("{:<20}{:>11}{:>11}{:>11}{:>10}", "Phase, ms", "mean",
                                             "p50", "p99", "share"),
                                 Style::kBold));
  for (const metrics::PhaseResult& phase : r.phases) {
    std::string name = phase.name;
    std::replace(name.begin(), name.end(), '_', ' ');
    const std::string text =
        fmt::format("  {:<18}{:>11}{:>11}{:>11}{:>10}", name, figure(phase.ms.mean),
                    figure(phase.ms.median), figure(phase.ms.p99), percent(phase.share));
    const bool slowest = phase.name == r.slowest_phase;
    report.line("{}{}", slowest ? report.style(text, Style::kWarn) : text,
                slowest ? "  <- slowest phase" : "");
  }
}

void add_slo(Report& report, const Result& r) {
  const auto limit = [](Seconds seconds) {
    return std::isfinite(seconds) ? fmt::format("<= {} ms", figure(seconds * 1e3)) : "any";
  };
  report.blank();
  report.row("SLO", fmt::format("TTFT {}: {}, TPOT {}: {}, both: {}", limit(r.slo.limits.ttft),
                                percent(r.slo.share_ttft), limit(r.slo.limits.tpot),
                                percent(r.slo.share_tpot), percent(r.slo.share_both)) +
                        (r.slo.met_at_p99 ? report.style("  met at p99", Style::kGood)
                                          : report.style("  missed at p99", Style::kWarn)));
}

void add_role(Report& report, const char* name, const std::optional<metrics::RoleResult>& role,
              const char* occupied) {
  if (!role) return;
  report.row(
      name, fmt::format("{} NPUs {} busy, {} of {}, HBM {} while busy, iteration {} ms", role->npus,
                        percent(role->utilisation), percent(role->occupancy), occupied,
                        percent(role->hbm.busy_utilisation), figure(role->iteration_ms.mean)));
}

void add_cache(Report& report, const metrics::CacheResult& cache) {
  if (!cache.enabled || cache.lookup_tokens == 0) return;
  const double hit =
      static_cast<double>(cache.hit_tokens) / static_cast<double>(cache.lookup_tokens);
  report.row("Cache", fmt::format("{} of prompt tokens hit{}, {} of {} blocks held, {} evicted",
                                  percent(hit), cache.imposed_reuse ? " (imposed)" : "",
                                  grouped(cache.stored_blocks), grouped(cache.capacity_blocks),
                                  grouped(cache.evicted_blocks)));
}

/// The three classes with the busiest ports.
void add_links(Report& report, std::vector<metrics::LinkResult> links,
               const metrics::UplinkUse& uplinks) {
  std::erase_if(links, [](const metrics::LinkResult& link) { return link.bytes <= 0; });
  std::ranges::stable_sort(links, std::ranges::greater{},
                           &metrics::LinkResult::highest_utilisation);
  if (links.size() > 3) links.resize(3);
  std::string text;
  for (const metrics::LinkResult& link : links) {
    text +=
        fmt::format("{}{} {} {} (busiest {})", text.empty() ? "" : ", ", link.name, link.direction,
                    percent(link.utilisation), percent(link.highest_utilisation));
  }
  if (!text.empty()) report.row("Links", text);
  if (!uplinks.in_paths && uplinks.pressure > 1) {
    report.row("Uplinks",
               fmt::format("left out of the paths, though flows could have asked for up to {} of "
                           "them: transfers may come out too fast",
                           percent(uplinks.pressure)));
  }
}

void add_use(Report& report, const Result& r) {
  add_role(report, "Prefill", r.prefill, "token budget");
  add_role(report, "Decode", r.decode, "slots");
  if (r.decode && r.kv.capacity_tokens > 0) {
    report.row("KV space", fmt::format("{} tokens, {} reserved on average, {} at most",
                                       grouped(r.kv.capacity_tokens), percent(r.kv.mean_occupancy),
                                       percent(r.kv.peak_occupancy)));
  }
  add_cache(report, r.cache);
  add_links(report, r.links, r.uplinks);
}

}  // namespace

std::string format_report(const Result& result, Paint paint) {
  Report report(paint);
  add_head(report, result);
  add_throughput(report, result);
  add_latencies(report, result);
  add_phases(report, result);
  add_slo(report, result);
  add_use(report, result);
  return report.take();
}

}  // namespace cmsim::cli
