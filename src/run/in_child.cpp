#include "in_child.hpp"

#include <cstring>
#include <string>

#include "cmsim/base/error.hpp"
#include "cmsim/base/process_pool.hpp"

namespace cmsim::run {

double in_child(const std::function<double()>& compute) {
  const ChildOutcome outcome = run_in_children(1, [&](std::size_t) {
    const double value = compute();
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  })[0];
  if (outcome.ending != Ending::kDone) {
    throw SimulationError("a measurement in a child process failed: " + outcome.text);
  }
  double value = 0;
  std::memcpy(&value, outcome.text.data(), sizeof value);
  return value;
}

}  // namespace cmsim::run
