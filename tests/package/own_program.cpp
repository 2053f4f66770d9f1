// A program of one's own: loads a scenario with overrides, runs it, reads the result as a value.
#include <cstdio>

#include "cmsim/base/error.hpp"
#include "cmsim/run/run.hpp"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: own_program SCENARIO [/pointer=value]...\n");
    return 2;
  }
  try {
    const auto scenario = cmsim::run::load_scenario(argv[1], {argv + 2, argv + argc});
    const cmsim::run::Result result = cmsim::run::run(scenario);
    std::printf("%lld finished, %.6f tokens/s\n", static_cast<long long>(result.requests.finished),
                result.output_throughput);
  } catch (const cmsim::ConfigError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
