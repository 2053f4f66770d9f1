// The arguments of vLLM's benchmark in the result, by kind of arrivals.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/run/runs.hpp"

namespace cmsim::run {
namespace {

nlohmann::json result_with(const std::string& arrivals) {
  return metrics::to_json(
      run_with(R"({"requests": 4, "prompt_length": 100, "output_length": 2, "arrivals": )" +
               arrivals + "}"));
}

TEST(BenchmarkArguments, AreThoseOfTheArrivals) {
  const auto poisson = result_with(R"({"kind": "poisson", "rate": 8})");
  EXPECT_EQ(poisson["request_rate"], 8);
  EXPECT_EQ(poisson["burstiness"], 1);
  EXPECT_TRUE(poisson["max_concurrency"].is_null());
  EXPECT_EQ(poisson["num_prompts"], 4);
  EXPECT_EQ(poisson["failed"], 0);
  EXPECT_EQ(poisson["model_id"], "deepseek-r1");
  EXPECT_FALSE(poisson.contains("date"));
  const auto gamma =
      result_with(R"({"kind": "gamma", "rate": 8, "burstiness": 0.5, "concurrency": 3})");
  EXPECT_EQ(gamma["burstiness"], 0.5);
  EXPECT_EQ(gamma["max_concurrency"], 3);
  EXPECT_EQ(result_with(R"({"kind": "constant", "rate": 8})")["burstiness"], "inf");
}

TEST(BenchmarkArguments, WhatWaitsForNoDateHasAnInfiniteRate) {
  for (const char* arrivals :
       {R"({"kind": "all_at_once"})", R"({"kind": "closed_loop", "concurrency": 2})"}) {
    const auto result = result_with(arrivals);
    EXPECT_EQ(result["request_rate"], "inf") << arrivals;
    EXPECT_EQ(result["burstiness"], 1) << arrivals;
  }
}

TEST(BenchmarkArguments, TheDatesOfATraceHaveNone) {
  const Scenario scenario = load_scenario(default_scenario(), {"/workload/max_requests=3"});
  const auto result = metrics::to_json(run(scenario));
  EXPECT_TRUE(result["request_rate"].is_null());
  EXPECT_TRUE(result["burstiness"].is_null());
}

}  // namespace
}  // namespace cmsim::run
