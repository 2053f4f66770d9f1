// Small results, as cmsim prints them, for tests that move one figure.
#pragma once

#include <nlohmann/json.hpp>

namespace cmsim::check {

/// One step of 1000 us: host 10, and on the critical path MLP 600 and Attention 390.
inline nlohmann::json step_result() {
  return nlohmann::json::parse(R"({
    "phase": "decode", "ranks": 320, "batch_per_npu": 96, "context": 4096, "network_note": "",
    "duration_us": 1000.0, "microbatches": 1, "layer_us": 16.0,
    "parts_us": {"host": 10.0, "moe_layers": 990.0},
    "losses": {"imbalance": {"share": 0.1}, "communication": {"share": 0.2}},
    "operators": [
      {"name": "Attention", "track": "stream 0", "alone_us": 39.0, "duration_us": 39.0},
      {"name": "MLP", "track": "stream 1", "alone_us": 58.0, "duration_us": 60.0}],
    "critical_path_us": {"MLP": 600.0, "Attention": 390.0}})");
}

/// A run whose decode step is the one above.
inline nlohmann::json run_result() {
  nlohmann::json result = nlohmann::json::parse(R"({
    "partial": false, "load": {"verdict": "stable"},
    "window": {
      "request_goodput": 10.0, "output_throughput": 1000.0,
      "ttft_ms": {"mean": 200.0, "p99": 900.0}, "tpot_ms": {"mean": 40.0, "p99": 48.0},
      "e2el_ms": {"mean": 40000.0, "p99": 90000.0},
      "prefill_tokens_per_second_per_npu": 3000.0, "decode_tokens_per_second_per_npu": 1700.0,
      "slo": {"met_at_p99": true},
      "phases": {"prefill": {"mean_ms": 90.0}, "decode": {"mean_ms": 4000.0}},
      "prefill": {"utilisation": 0.5}, "decode": {"utilisation": 0.9},
      "queues": {"decode_waiting": {"mean": 2.0}},
      "transfers": {"kv_pull": {"mean_ms": 3.0}},
      "links": [{"class": "rdma", "direction": "in", "utilisation": 0.01}]},
    "provenance": {"version": "0.1.0", "scenario": "a.json", "digest": "00", "seed": 1,
                   "command": "cmsim run a.json --set /x/y=28GB/s --seed 1"}})");
  result["breakdown"] = {{"decode", step_result()}, {"prefill", nullptr}};
  return result;
}

}  // namespace cmsim::check
