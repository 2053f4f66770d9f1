// What-ifs move the right figure the right way, and by how much they should.
#include <gtest/gtest.h>

#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

TEST(Direction, HalfTheRdmaBandwidthDoublesTheKvPull) {
  // KV of 4,096 tokens: 4096 * 70,272 B = 287.8 MB from one die to another. A port carries
  // 200 Gbps * 0.95 = 23.75 GB/s -> 12.12 ms, half of it -> 24.24 ms (latency 5 us stays).
  const Result base = run_with(kOneRequest);
  const Result half = run_with(kOneRequest, {"/platform/rdma/bandwidth_per_die=100Gbps"});
  const double bytes = 4096 * 70272.0;
  EXPECT_DOUBLE_EQ(transfers(base, "kv_pull").bytes, bytes);
  EXPECT_NEAR(transfers(base, "kv_pull").mean_ms, bytes / 23.75e9 * 1e3 + 0.005, 1e-6);
  EXPECT_NEAR(transfers(half, "kv_pull").mean_ms, bytes / 11.875e9 * 1e3 + 0.005, 1e-6);
  // TTFT of a request alone grows by just that; what comes after the first token does not change.
  EXPECT_NEAR(half.whole_run.ttft_ms.mean - base.whole_run.ttft_ms.mean, bytes / 23.75e9 * 1e3,
              1e-6);
  EXPECT_NEAR(half.whole_run.tpot_ms.mean, base.whole_run.tpot_ms.mean, 1e-9);
}

TEST(Direction, KvGoesOverThePlaneItIsGiven) {
  // The same 287.8 MB out of a die of one node into a die of another: a die has 7 * 28 = 196 GB/s
  // of UB, of which a read gets 164 (P Table 1), after 1.9 us.
  const Result rdma = run_with(kOneRequest);
  const Result ub = run_with(kOneRequest, {"/deployment/kv/plane=ub"});
  const double bytes = 4096 * 70272.0;
  EXPECT_DOUBLE_EQ(transfers(ub, "kv_pull").bytes, bytes);
  EXPECT_NEAR(transfers(ub, "kv_pull").mean_ms, bytes / 164e9 * 1e3 + 0.0019, 1e-6);
  EXPECT_NEAR(transfers(rdma, "kv_pull").mean_ms, bytes / 23.75e9 * 1e3 + 0.005, 1e-6);
  for (const char* direction : {"out", "in"}) {
    EXPECT_DOUBLE_EQ(link(rdma, "rdma", direction).transfer_bytes, bytes);
    EXPECT_EQ(link(rdma, "die_ub", direction).transfer_bytes, 0);
    EXPECT_DOUBLE_EQ(link(ub, "die_ub", direction).transfer_bytes, bytes);
    EXPECT_EQ(link(ub, "rdma", direction).transfer_bytes, 0);
  }
}

TEST(Direction, CachedBlocksComeOverRdmaWhereCpusAreOnIt) {
  // Flows of as many CPUs to as many dies: the slower port binds, of a CPU, so half of it takes
  // twice as long but for 5 us.
  const auto with = [](const std::string& of_a_cpu) {
    return run_with(kOneRequest, {"/deployment/cache/reuse=0.5", "/deployment/cache/plane=rdma",
                                  "/platform/rdma/cpu_bandwidth=" + of_a_cpu});
  };
  const Result wide = with("20GB/s"), narrow = with("10GB/s");
  EXPECT_NEAR(transfers(wide, "cache_read").bytes, 2048 * 70272.0, 4);
  EXPECT_NEAR(transfers(narrow, "cache_read").mean_ms - 0.005,
              2 * (transfers(wide, "cache_read").mean_ms - 0.005), 1e-6);
  EXPECT_NEAR(link(wide, "cpu_rdma", "out").transfer_bytes, 2048 * 70272.0, 4);
  EXPECT_EQ(link(wide, "cpu_ub", "out").transfer_bytes, 0);
}

TEST(Direction, HalfTheSubPlanesSlowCachedBlocks) {
  // Half of the prompt is cached and read from CPUs, on up to 4 flows to as many dies. A flow gets
  // the slower of the CPU port, 160 GB/s, and the die's sub-planes: 8 * 28 = 224 GB/s, so the CPU
  // binds; 4 * 28 = 112 GB/s, so the sub-planes bind. Time * (160 / 112), latency of 1.0 or 1.7 us
  // apart. Prefill slows too: its all-gathers and all-to-alls use the same links.
  const Result eight =
      run_with(kOneRequest, {"/deployment/cache/reuse=0.5", "/platform/ub/sub_planes=8"});
  const Result four =
      run_with(kOneRequest, {"/deployment/cache/reuse=0.5", "/platform/ub/sub_planes=4"});
  const double before = transfers(eight, "cache_read").mean_ms;
  const double after = transfers(four, "cache_read").mean_ms;
  EXPECT_NEAR(transfers(eight, "cache_read").bytes, 2048 * 70272.0, 4);
  EXPECT_NEAR(after / before, 160.0 / 112, 0.01);
  EXPECT_GT(phase_ms(four, "prefill"), phase_ms(eight, "prefill") * 1.005);
  EXPECT_NEAR(transfers(four, "kv_pull").mean_ms, transfers(eight, "kv_pull").mean_ms, 1e-9);
}

TEST(Direction, HalfTheHbmBandwidthAddsTheTimeOfTheBytesToAStep) {
  // One sequence: a step streams the weights of a die, b bytes at 84.1 % of 1.6 TB/s. Half the
  // bandwidth adds that time once more to what is bound by it, and nothing to start-up costs.
  const Result base = run_with(kOneRequest);
  const Result half = run_with(kOneRequest, {"/platform/die/hbm_bandwidth=0.8TB/s"});
  const double bytes = base.whole_run.decode->hbm.bytes /
                       static_cast<double>(base.whole_run.decode->iterations) /
                       320;  // a die, a step
  const double streaming_ms = bytes / (1.6e12 * 0.841) * 1e3;
  const double added =
      half.whole_run.decode->iteration_ms.mean - base.whole_run.decode->iteration_ms.mean;
  EXPECT_GT(added, 0.8 * streaming_ms);
  EXPECT_LT(added, 1.2 * streaming_ms);
  EXPECT_GT(half.whole_run.tpot_ms.mean, 1.2 * base.whole_run.tpot_ms.mean);
}

// Every decode slot of 160 NPUs taken, each request replaced as it ends.
constexpr const char* kFullDecode =
    R"({"role": "decode", "requests": 46080, "prompt_length": 4096, "output_length": 64,
        "arrivals": {"kind": "closed_loop", "concurrency": 15360}})";

TEST(Direction, HalfTheDecodeNpusHalveWhatASaturatedSystemGives) {
  // Slots are 96 per NPU, so half the NPUs run half the sequences. A step of 160 dies holds twice
  // the experts per die (more weights to stream) but waits for fewer ranks (less straggling), so
  // its time changes little against the factor of two, and throughput is batch / step time.
  const Result full = run_with(kFullDecode);
  const Result half = run_with(
      kFullDecode, {"/deployment/decode/npus_per_instance=80", "/deployment/decode/ep=160"});
  const double step_ratio =
      half.measured.decode->iteration_ms.mean / full.measured.decode->iteration_ms.mean;
  const double rate_ratio = half.measured.output_throughput / full.measured.output_throughput;
  EXPECT_NEAR(rate_ratio * step_ratio, 0.5, 0.02);  // throughput = sequences * 1.7 / step
  EXPECT_GT(rate_ratio, 0.35);
  EXPECT_LT(rate_ratio, 0.65);
  // What does not find a slot waits.
  EXPECT_GT(phase_ms(half, "decode_queue"), 100 * phase_ms(full, "decode_queue"));
}

TEST(Direction, HalfTheDecodeNpusSlowAnUnsaturatedSystem) {
  // 8,000 requests in flight fit either way: half the dies hold twice the sequences each, which
  // makes a step longer, but less than twice as long, for weights are streamed once a step.
  constexpr const char* kHalfFull =
      R"({"role": "decode", "requests": 24000, "prompt_length": 4096, "output_length": 64,
          "arrivals": {"kind": "closed_loop", "concurrency": 7680}})";
  const Result full = run_with(kHalfFull);
  const Result half =
      run_with(kHalfFull, {"/deployment/decode/npus_per_instance=80", "/deployment/decode/ep=160"});
  EXPECT_GT(half.measured.tpot_ms.mean, 1.1 * full.measured.tpot_ms.mean);
  EXPECT_LT(half.measured.tpot_ms.mean, 2.0 * full.measured.tpot_ms.mean);
  EXPECT_LT(half.measured.output_throughput, full.measured.output_throughput);
}

TEST(Direction, TheSpareSlotsOfATpotLimitAreFound) {
  // Batch 8 per NPU against 96: fewer sequences make shorter steps and less throughput.
  const Result small = run_with(
      R"({"role": "decode", "requests": 3840, "prompt_length": 4096, "output_length": 64,
          "arrivals": {"kind": "closed_loop", "concurrency": 1280}})",
      {"/deployment/decode/max_num_seqs=8", "/decode/microbatches=1"});
  const Result full = run_with(kFullDecode);
  EXPECT_LT(small.whole_run.tpot_ms.mean, 0.5 * full.whole_run.tpot_ms.mean);
  EXPECT_LT(small.measured.output_throughput, 0.5 * full.measured.output_throughput);
}

}  // namespace
}  // namespace cmsim::run
