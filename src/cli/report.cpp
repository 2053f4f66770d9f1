#include "report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>
#include <utility>

#include "provenance.hpp"
#include "run_band.hpp"

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

Style style_of(metrics::Load load) {
  switch (load) {
    case metrics::Load::kStable:
      return Style::kGood;
    case metrics::Load::kSaturated:
      return Style::kWarn;
    default:
      return Style::kBad;
  }
}

/// "prefill 62 %, decode 81 % of what it can carry within the SLO"
std::string offered(const metrics::LoadVerdict& load) {
  std::string text;
  const auto add = [&](const char* name, const std::optional<metrics::RoleLoad>& role) {
    if (!role || !std::isfinite(role->rho())) return;
    text += fmt::format("{}{} at {}", text.empty() ? "" : ", ", name, percent(role->rho()));
  };
  add("prefill", load.prefill);
  add("decode", load.decode);
  return text.empty() ? text : ", " + text + " of what keeps the SLO";
}

/// To the fourth digit of the largest of its kind.
double rounded_as(double value, double largest) {
  if (!(largest > 0)) return value;
  const double step = std::pow(10, std::floor(std::log10(largest)) - 3);
  return std::round(value / step) * step;
}

/// Of a table: below a microsecond there is nothing to compare.
std::string milliseconds(double value) {
  return value > 0 && value < 0.001 ? "<0.001" : figure(value);
}

/// "decode/batch_per_npu 150 (validated: 4 to 128)"
std::string outside_text(const metrics::Extrapolation& e) {
  if (e.is_named()) return fmt::format("{} {} (validated: {})", e.what, e.name, e.validated_name);
  const std::string range = e.least == e.most
                                ? figure(e.least)
                                : fmt::format("{} to {}", figure(e.least), figure(e.most));
  return fmt::format("{} {} (validated: {})", e.what, figure(e.value), range);
}

std::string arrivals(const Result& r) {
  if (std::isfinite(r.load.arrival_rate)) {
    return fmt::format("{} requests/s", figure(r.load.arrival_rate));
  }
  const std::optional<double>& rate = r.arguments.request_rate;
  const bool loop = r.arguments.max_concurrency && rate && std::isinf(*rate);
  return loop ? fmt::format("a closed loop of {} requests", grouped(*r.arguments.max_concurrency))
              : r.load.why_no_rate + ", so that no rate is offered";
}

void add_head(Report& report, const Result& r) {
  report.row("Scenario", fmt::format("{}, seed {}, trace {}", r.provenance.scenario,
                                     r.provenance.seed, r.provenance.trace));
  if (!r.provenance.trace_retired.empty()) {
    report.row("", "without " + retired_text(r.provenance.trace_retired));
  }
  if (const std::string note = borrowed_note(r.provenance.borrowed); !note.empty()) {
    report.row("Machine", report.style(note, Style::kWarn));
  }
  if (!r.provenance.extrapolated.empty()) {
    std::vector<std::string> outside;
    for (const auto& e : r.provenance.extrapolated) outside.push_back(outside_text(e));
    report.row(
        "Validated",
        report.style(fmt::format("extrapolated in {}", fmt::join(outside, ", ")), Style::kWarn));
  }
  std::string requests = fmt::format("{} of {} finished in {} s", grouped(r.requests.finished),
                                     grouped(r.requests.total), figure(r.duration));
  for (const auto& [reason, count] : r.requests.not_finished) {
    requests += report.style(fmt::format(", {} {}", grouped(count), reason), Style::kBad);
  }
  if (r.requests.initial > 0)
    requests += fmt::format("; {} were under way at the start", grouped(r.requests.initial));
  if (r.requests.preempted > 0)
    requests += fmt::format(", {} preempted", grouped(r.requests.preempted));
  if (r.requests.swapped > 0) requests += fmt::format(", {} swapped", grouped(r.requests.swapped));
  report.row("Requests", requests + (r.partial ? report.style("  PARTIAL", Style::kBad) : ""));
  report.row("Load", report.style(to_string(r.load.load), style_of(r.load.load)) + ": " +
                         arrivals(r) + offered(r.load));
  const metrics::Window& window = r.window;
  const auto of_run = [&](Seconds at) { return figure(rounded_as(at, r.whole_run.to)); };
  report.row("Window",
             fmt::format("{} to {} s of {} s ({})", of_run(window.from), of_run(window.to),
                         of_run(r.whole_run.to), to_string(window.rule)) +
                 (window.steady ? "" : report.style("  not steady", Style::kWarn)));
  if (!window.steady) {
    report.row("", window.why_not +
                       (std::isfinite(window.needed)
                            ? fmt::format("; needs arrivals over some {} s", figure(window.needed))
                            : ""));
  }
}

void add_throughput(Report& report, const Result& r) {
  report.blank();
  report.line("{}", report.style(fmt::format("{:<32}{:>11}{:>13}", "Throughput, per second",
                                             "window", "whole run"),
                                 Style::kBold));
  const auto add = [&](const char* name, double window, double whole_run) {
    report.line("  {:<30}{:>11}{:>13}", name, figure(window), figure(whole_run));
  };
  const metrics::Figures &w = r.measured, &all = r.whole_run;
  add("requests that keep the SLO", w.request_goodput, all.request_goodput);
  add("requests", w.request_throughput, all.request_throughput);
  add("output tokens", w.output_throughput, all.output_throughput);
  if (w.prefill) {
    add("prompt tokens per prefill NPU", w.prefill->tokens_per_second_per_npu(),
        all.prefill->tokens_per_second_per_npu());
  }
  if (w.decode && w.decode->prompts) {
    add("prompt tokens", w.decode->prompts->tokens_per_second,
        all.decode->prompts->tokens_per_second);
    add("output tokens per NPU", w.decode->tokens_per_second_per_npu(),
        all.decode->tokens_per_second_per_npu());
  } else if (w.decode) {
    add("output tokens per decode NPU", w.decode->tokens_per_second_per_npu(),
        all.decode->tokens_per_second_per_npu());
  }
}

void add_latencies(Report& report, const Result& r) {
  report.blank();
  report.line("{}", report.style(fmt::format("{:<20}{:>11}{:>11}{:>11}{:>13}{:>11}", "Latency, ms",
                                             "mean", "p50", "p99", "whole run", "p99"),
                                 Style::kBold));
  const auto add = [&](const char* name, const Distribution& d, const Distribution& all) {
    if (all.count == 0) return;
    const auto shown = [&](double value) { return d.count > 0 ? milliseconds(value) : "-"; };
    report.line("  {:<18}{:>11}{:>11}{:>11}{:>13}{:>11}", name, shown(d.mean), shown(d.median),
                shown(d.p99), milliseconds(all.mean), milliseconds(all.p99));
  };
  const metrics::Figures &w = r.measured, &all = r.whole_run;
  add("TTFT", w.ttft_ms, all.ttft_ms);
  add("TPOT", w.tpot_ms, all.tpot_ms);
  add("ITL", w.itl_ms, all.itl_ms);
  add("E2E", w.e2el_ms, all.e2el_ms);
}

/// The phase to look at first: where requests pile up, else where they are longest.
struct PhaseMark {
  std::string_view phase, why;
};

PhaseMark phase_mark(const Result& r) {
  const bool keeps_up = r.load.load != metrics::Load::kOverloaded;
  if (keeps_up || r.measured.longest_wait.empty())
    return {r.measured.slowest_phase, "slowest phase"};
  return {r.measured.longest_wait, "overloaded: waits grow"};
}

void add_phases(Report& report, const Result& r) {
  if (r.measured.phases.empty()) return;
  const PhaseMark mark = phase_mark(r);
  report.blank();
  report.line("{}", report.style(fmt::format("{:<20}{:>11}{:>11}{:>11}{:>10}", "Phase, ms", "mean",
                                             "p50", "p99", "share"),
                                 Style::kBold));
  for (const metrics::PhaseResult& phase : r.measured.phases) {
    std::string name = phase.name;
    std::replace(name.begin(), name.end(), '_', ' ');
    const std::string text = fmt::format("  {:<18}{:>11}{:>11}{:>11}{:>10}", name,
                                         milliseconds(phase.ms.mean), milliseconds(phase.ms.median),
                                         milliseconds(phase.ms.p99), percent(phase.share));
    const bool marked = phase.name == mark.phase;
    report.line("{}{}", marked ? report.style(text, Style::kWarn) : text,
                marked ? fmt::format("  <- {}", mark.why) : "");
  }
}

void add_slo(Report& report, const metrics::SloVerdict& slo) {
  std::vector<std::string> shares;
  const auto add = [&](const char* name, Seconds limit, double share) {
    if (!std::isfinite(limit)) return;
    shares.push_back(fmt::format("{} <= {} ms: {}", name, figure(limit * 1e3), percent(share)));
  };
  add("TTFT", slo.limits.ttft, slo.share_ttft);
  add("TPOT", slo.limits.tpot, slo.share_tpot);
  if (shares.size() > 1) shares.push_back("both: " + percent(slo.share_both));
  if (shares.empty()) shares.emplace_back("no limit");
  report.blank();
  report.row("SLO", fmt::format("{}", fmt::join(shares, ", ")) +
                        (slo.met_at_p99 ? report.style("  met at p99", Style::kGood)
                                        : report.style("  missed at p99", Style::kWarn)));
}

/// Where requests are of several.
void add_classes(Report& report, const std::vector<metrics::GroupResult>& classes) {
  if (classes.size() < 2) return;
  for (const metrics::GroupResult& one : classes) {
    std::string text =
        fmt::format("{} of {} finished, {} within their limits", grouped(one.finished),
                    grouped(one.requests), percent(one.share_slo));
    if (one.ttft_ms.count > 0) text += fmt::format(", p99 TTFT {} ms", figure(one.ttft_ms.p99));
    if (one.tpot_ms.count > 0) text += fmt::format(", TPOT {} ms", figure(one.tpot_ms.p99));
    if (one.longest_wait) text += fmt::format(", longest wait {} s", figure(*one.longest_wait));
    report.row(one.name, text);
  }
}

void add_role(Report& report, const char* name, const std::optional<metrics::RoleResult>& role,
              const char* occupied) {
  if (!role) return;
  report.row(
      name, fmt::format("{} NPUs {} busy, {} of {}, HBM {} while busy, iteration {} ms", role->npus,
                        percent(role->utilisation), percent(role->occupancy), occupied,
                        percent(role->hbm.busy_utilisation), figure(role->iteration_ms.mean)));
}

void add_rebalancing(Report& report, const std::optional<metrics::RoleResult>& decode) {
  if (!decode || !decode->rebalancing) return;
  const metrics::RebalancingResult& r = *decode->rebalancing;
  report.row("Experts", fmt::format("placed anew {} times, {} GB moved, for which steps wait {} of "
                                    "their time; balancedness {}",
                                    grouped(r.count), figure(r.bytes / 1e9), percent(r.paid_share),
                                    figure(r.mean_balancedness)));
}

void add_cache(Report& report, const metrics::CacheResult& cache) {
  if (!cache.enabled || cache.lookup_tokens == 0) return;
  const double hit =
      static_cast<double>(cache.hit_tokens) / static_cast<double>(cache.lookup_tokens);
  report.row("Cache", fmt::format("{} of prompt tokens hit{}, {} of {} blocks held, {} evicted",
                                  percent(hit), cache.imposed_reuse ? " (imposed)" : "",
                                  grouped(cache.stored_blocks), grouped(cache.capacity_blocks),
                                  grouped(cache.evicted_blocks)));
  if (cache.ssd_capacity_blocks == 0) return;
  const serve::SsdCounts& ssd = cache.ssd;
  std::string text =
      fmt::format("{} of the tokens hit, {} of {} blocks held, {} demoted, {} promoted",
                  percent(cache.hit_tokens > 0 ? static_cast<double>(cache.ssd_hit_tokens) /
                                                     static_cast<double>(cache.hit_tokens)
                                               : 0),
                  grouped(ssd.stored), grouped(cache.ssd_capacity_blocks), grouped(ssd.demoted),
                  grouped(ssd.promoted));
  if (ssd.prefetched > 0) {
    text += fmt::format(", {} prefetched ({} used, {} wasted)", grouped(ssd.prefetched),
                        grouped(ssd.prefetch_used), grouped(ssd.prefetch_wasted));
  }
  report.row("Cache on SSD", text);
}

template <class Row>
std::span<const Row> first(const std::vector<Row>& rows, std::size_t most) {
  return std::span(rows).first(std::min(most, rows.size()));
}

constexpr double kCrowded = 0.7;  // of the time that a port is in use

/// What comes of it that transfers and exchanges use links of one class.
void add_sharing(Report& report, const Result& r) {
  const metrics::Figures& w = r.measured;
  const metrics::LinkResult* busiest = nullptr;
  for (const metrics::LinkResult& link : w.links) {
    const bool is_shared = link.transfer_bytes > 0 || link.busiest_utilisation > 1;
    if (!is_shared || link.exchange_bytes <= 0) continue;
    if (busiest == nullptr || link.busiest_utilisation > busiest->busiest_utilisation) {
      busiest = &link;
    }
  }
  if (busiest == nullptr) return;
  const std::string port = fmt::format("the busiest {} {}", busiest->name, busiest->direction);
  const std::string use = percent(busiest->busiest_utilisation);
  if (r.provenance.network != "analytic") {
    std::string lost;
    if (w.prefill) lost += fmt::format("{} of prefill's time", percent(w.prefill->contention));
    if (w.decode) {
      lost +=
          fmt::format("{}{} of decode's", lost.empty() ? "" : ", ", percent(w.decode->contention));
    }
    report.row("Contention",
               fmt::format("waiting for others on the links takes {}; {} is in use {} of the time",
                           lost, port, use));
  } else if (busiest->busiest_utilisation > kCrowded) {
    report.row("Crowded",
               fmt::format("{} would be in use {} of the time by exchanges and transfers together, "
                           "which do not wait for each other on network analytic: times are too "
                           "short, and --network hose says by how much",
                           port, use));
  }
}

/// The three busiest classes.
void add_links(Report& report, const Result& r) {
  std::vector<metrics::LinkResult> links = r.measured.links;
  std::ranges::stable_sort(links, std::ranges::greater{}, [](const metrics::LinkResult& link) {
    return std::round(link.utilisation * 1e9);  // out before in where both are alike
  });
  std::string text;
  for (const metrics::LinkResult& link : first(links, 3)) {
    if (link.utilisation <= 0) continue;
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", link.name, link.direction,
                        percent(link.utilisation));
  }
  if (!text.empty()) report.row("Links", text);
  add_sharing(report, r);
  if (!r.uplinks.in_paths && r.uplinks.pressure > 1) {
    report.row("Uplinks",
               fmt::format("left out of the paths, though flows could have asked for up to {} of "
                           "them: transfers may come out too fast",
                           percent(r.uplinks.pressure)));
  }
}

/// The three largest.
void add_binds(Report& report, const std::vector<metrics::Bind>& binds) {
  std::string text;
  for (const metrics::Bind& bind : first(binds, 3)) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", bind.what, percent(bind.share));
  }
  if (!text.empty()) report.row("Binds", text);
}

void add_use(Report& report, const Result& r) {
  const metrics::Figures& w = r.measured;
  add_role(report, "Prefill", w.prefill, "token budget");
  add_role(report, w.decode && w.decode->prompts ? "Mixed" : "Decode", w.decode, "slots");
  add_rebalancing(report, w.decode);
  if (const auto& p = w.proportion) {
    report.row("Proportion",
               fmt::format("{} NPUs prefill and {} decode on average, {} loading; {} changes",
                           figure(p->prefill_npus), figure(p->decode_npus), figure(p->loading_npus),
                           grouped(p->changes)));
  }
  if (w.decode && w.kv.capacity_tokens > 0) {
    report.row("KV space", fmt::format("{} tokens, {} reserved on average, {} at most",
                                       grouped(w.kv.capacity_tokens), percent(w.kv.mean_occupancy),
                                       percent(w.kv.peak_occupancy)));
  }
  add_cache(report, r.cache);
  add_links(report, r);
  add_binds(report, w.binds);
}

}  // namespace

std::string retired_text(const std::vector<std::string>& keys) {
  constexpr std::string_view kAllBelow = "/workload/";
  std::vector<std::string_view> names;
  for (const std::string_view key : keys) names.push_back(key.substr(kAllBelow.size()));
  return fmt::format("the scenario's {}, said of its own trace", fmt::join(names, ", "));
}

std::string format_report(const Result& result, Paint paint) {
  Report report(paint);
  add_head(report, result);
  add_throughput(report, result);
  add_latencies(report, result);
  add_phases(report, result);
  add_slo(report, result.measured.slo);
  add_classes(report, result.measured.service.classes);
  add_use(report, result);
  if (result.uncertainty) return report.take() + format_bands(*result.uncertainty, paint);
  return report.take();
}

}  // namespace cmsim::cli
