#include "cmsim/model/cost.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace cmsim::model {
namespace {

// Round figures: 80 TOPS INT8, 20 TFLOPS BF16 in GEMM, 10 in attention, 800 GB/s, 5 us a kernel.
hw::Platform round_platform() {
  hw::Platform platform;
  platform.die.int8_peak = 100e12;
  platform.die.bf16_peak = 40e12;
  platform.die.hbm_bandwidth = 1e12;
  platform.operators.gemm_int8_efficiency = 0.8;
  platform.operators.gemm_bf16_efficiency = 0.5;
  platform.operators.attention_efficiency = 0.25;
  platform.operators.hbm_efficiency = 0.8;
  platform.operators.operator_overhead = 5e-6;
  return platform;
}

TEST(DeviceCost, AddsTheComputeOfTheThreeKindsOfWork) {
  const Device device(round_platform());
  // 80e6 / 80e12 + 40e6 / 20e12 + 30e6 / 10e12 = 1 + 2 + 3 = 6 us
  const OperatorCost cost =
      device.cost({.int8_ops = 80e6, .bf16_ops = 40e6, .attention_ops = 30e6}, 1);
  EXPECT_NEAR(cost.compute, 6e-6, 1e-15);
  EXPECT_DOUBLE_EQ(cost.fixed, 5e-6);  // one stage
}

TEST(DeviceCost, FewerCoresComputeSlowerButStreamAndStartAsFast) {
  const Device device(round_platform());
  const OperatorWork work{.int8_ops = 80e6, .hbm_bytes = 1e6, .stages = 3};
  const OperatorCost third = device.cost(work, 1.0 / 3);
  EXPECT_NEAR(third.compute, 3e-6, 1e-15);  // 1 us / (1/3)
  EXPECT_DOUBLE_EQ(third.hbm_bytes, 1e6);
  EXPECT_DOUBLE_EQ(third.fixed, 15e-6);  // 3 stages x 5 us
}

TEST(DeviceCost, IsTheLongerOfComputeAndStreamingPlusTheOverhead) {
  const Device device(round_platform());
  EXPECT_DOUBLE_EQ(device.hbm_bandwidth(), 800e9);  // 1 TB/s x 0.8
  // 8e6 B / 800 GB/s = 10 us, above the 1 us of compute: 10 + 5
  const OperatorCost streaming = device.cost({.int8_ops = 80e6, .hbm_bytes = 8e6}, 1);
  EXPECT_NEAR(streaming.alone(device.hbm_bandwidth()), 15e-6, 1e-15);
  // 800e6 / 80e12 = 10 us, above the 1 us of 0.8 MB: 10 + 5
  const OperatorCost computing = device.cost({.int8_ops = 800e6, .hbm_bytes = 0.8e6}, 1);
  EXPECT_NEAR(computing.alone(device.hbm_bandwidth()), 15e-6, 1e-15);
}

TEST(DeviceCost, AttentionHidesMemoryBehindComputeInPart) {
  hw::Platform platform = round_platform();
  // 30e6 / 10e12 = 3 us of compute, 3.2e6 B / 800 GB/s = 4 us of memory, 5 us a kernel.
  const OperatorWork attention{.attention_ops = 30e6, .hbm_bytes = 3.2e6};
  const auto time = [&](double overlap, const OperatorWork& work) {
    platform.operators.attention_overlap = overlap;
    const Device device(platform);
    return device.cost(work, 1).alone(device.hbm_bandwidth());
  };
  EXPECT_NEAR(time(1, attention), 12e-6, 1e-15);  // 3 + 4
  EXPECT_NEAR(time(2, attention), 10e-6, 1e-15);  // sqrt(9 + 16)
  EXPECT_NEAR(time(std::numeric_limits<double>::infinity(), attention), 9e-6, 1e-15);
  // A GEMM hides the shorter whatever attention does: 80e6 / 80e12 = 1 us behind 4 us.
  EXPECT_NEAR(time(1, {.int8_ops = 80e6, .hbm_bytes = 3.2e6}), 9e-6, 1e-15);
  // Only one of the two: nothing to hide.
  EXPECT_NEAR(time(2, {.attention_ops = 30e6}), 8e-6, 1e-15);
}

TEST(DeviceCost, AGemmHidesMemoryByAnOverlapOfItsOwn) {
  hw::Platform platform = round_platform();
  platform.operators.gemm_overlap = 2;
  const Device device(platform);
  // 240e6 / 80e12 = 3 us of compute, 4 us of memory, 5 us a kernel; attention hides all of 3 us.
  const auto time = [&](const OperatorWork& work) {
    return device.cost(work, 1).alone(device.hbm_bandwidth());
  };
  EXPECT_NEAR(time({.int8_ops = 240e6, .hbm_bytes = 3.2e6}), 10e-6, 1e-15);
  EXPECT_NEAR(time({.attention_ops = 30e6, .hbm_bytes = 3.2e6}), 9e-6, 1e-15);
}

TEST(DeviceCost, AnH800TakesWhatDeepGemmPublishes) {
  // FP8, BF16 out: M rows in each of G groups, TFLOPS as published. Kernels alone, without a start.
  struct Row {
    double groups, m, n, k, tflops;
  };
  hw::Platform h800 = hw::load_platform(CMSIM_SOURCE_DIR "/platforms/h800.json");
  h800.operators.operator_overhead = 0;
  const Device device(h800);
  for (const Row& row : {Row{4, 256, 4096, 7168, 932}, Row{4, 256, 7168, 2048, 815},
                         Row{1, 64, 7168, 16384, 336}, Row{1, 128, 7168, 16384, 645}}) {
    OperatorWork work;
    work.int8_ops = 2 * row.groups * row.m * row.n * row.k;
    work.hbm_bytes = row.groups * (row.n * row.k + row.m * row.k + 2 * row.m * row.n);
    const Seconds took = work.int8_ops / (row.tflops * 1e12);
    EXPECT_NEAR(device.cost(work, 1).alone(device.hbm_bandwidth()) / took, 1, 0.07) << row.m;
  }
}

TEST(OperatorWork, AddsUpEveryPart) {
  OperatorWork work{.int8_ops = 1, .bf16_ops = 2, .attention_ops = 3, .hbm_bytes = 4, .stages = 5};
  work += {.int8_ops = 10, .bf16_ops = 20, .attention_ops = 30, .hbm_bytes = 40, .stages = 50};
  EXPECT_EQ(work.int8_ops, 11);
  EXPECT_EQ(work.bf16_ops, 22);
  EXPECT_EQ(work.attention_ops, 33);
  EXPECT_EQ(work.hbm_bytes, 44);
  EXPECT_EQ(work.stages, 55);
}

}  // namespace
}  // namespace cmsim::model
