#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cmsim/work/trace_summary.hpp"

namespace cmsim::work {
namespace {

nlohmann::ordered_json to_json(const LengthSummary& lengths) {
  return {{"mean", lengths.mean},  {"cv", lengths.cv},   {"p50", lengths.p50},
          {"p90", lengths.p90},    {"p99", lengths.p99}, {"max", lengths.max},
          {"total", lengths.total}};
}

std::string length_line(std::string_view name, const LengthSummary& lengths) {
  return fmt::format("{:<14}{:>10.1f}{:>7.2f}{:>9.0f}{:>9.0f}{:>9.0f}{:>9}{:>14}\n", name,
                     lengths.mean, lengths.cv, lengths.p50, lengths.p90, lengths.p99, lengths.max,
                     lengths.total);
}

std::string arrival_lines(const TraceSummary& summary) {
  if (!summary.has_arrivals) return "arrivals      none in the file (lengths only)\n";
  std::string text = fmt::format("duration      {:.3f} s\n", summary.duration);
  if (summary.duration > 0) {
    text += fmt::format("rate          {:.3f} requests/s, {:.3f} in the busiest minute\n",
                        summary.mean_rate, summary.peak_rate);
    text += fmt::format("inter-arrival CV {:.2f}, {} distinct time stamps\n",
                        summary.interarrival_cv, summary.distinct_stamps);
  }
  return text;
}

}  // namespace

nlohmann::ordered_json to_json(const TraceSummary& summary) {
  nlohmann::ordered_json json{{"name", summary.name},
                              {"format", summary.format},
                              {"requests", summary.requests},
                              {"dropped", summary.dropped},
                              {"dropped_reason", summary.dropped_reason},
                              {"has_arrivals", summary.has_arrivals},
                              {"duration_s", summary.duration},
                              {"mean_rate", summary.mean_rate},
                              {"peak_rate", summary.peak_rate},
                              {"interarrival_cv", summary.interarrival_cv},
                              {"distinct_stamps", summary.distinct_stamps},
                              {"prompt_tokens", to_json(summary.prompt)},
                              {"output_tokens", to_json(summary.output)},
                              {"block_size", summary.block_size},
                              {"blocks", summary.blocks},
                              {"distinct_blocks", summary.distinct_blocks}};
  json["prefix_reuse"] = nlohmann::ordered_json::array();
  for (const PrefixReuse& reuse : summary.reuse) {
    nlohmann::ordered_json row;
    row["cache_blocks"] = reuse.cache_blocks > 0 ? nlohmann::ordered_json(reuse.cache_blocks)
                                                 : nlohmann::ordered_json("unbounded");
    row["by_block"] = reuse.by_block;
    row["by_token"] = reuse.by_token;
    json["prefix_reuse"].push_back(row);
  }
  return json;
}

std::string format_table(const TraceSummary& summary) {
  std::string text = fmt::format("trace         {} ({})\n", summary.name, summary.format);
  text += fmt::format("requests      {}", summary.requests);
  if (summary.dropped > 0) {
    text += fmt::format(", {} rows dropped: {}", summary.dropped, summary.dropped_reason);
  }
  text += '\n' + arrival_lines(summary);
  text += fmt::format("\n{:<14}{:>10}{:>7}{:>9}{:>9}{:>9}{:>9}{:>14}\n", "tokens", "mean", "CV",
                      "p50", "p90", "p99", "max", "total");
  text += length_line("prompt", summary.prompt) + length_line("output", summary.output);
  if (summary.reuse.empty()) return text + "\nno block ids: no prefix reuse\n";

  text += fmt::format("\n{} blocks of {} tokens, {} distinct\n", summary.blocks, summary.block_size,
                      summary.distinct_blocks);
  text += fmt::format("{:<24}{:>10}{:>10}\n", "prefix reuse, LRU cache", "by block", "by token");
  for (const PrefixReuse& reuse : summary.reuse) {
    const std::string size =
        reuse.cache_blocks > 0 ? fmt::format("{} blocks", reuse.cache_blocks) : "unbounded";
    text += fmt::format("{:<24}{:>8.1f} %{:>8.1f} %\n", size, 100 * reuse.by_block,
                        100 * reuse.by_token);
  }
  return text;
}

}  // namespace cmsim::work
