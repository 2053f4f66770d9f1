// SimGrid's Engine: its options, and one of it at a time in a process.
//
// A later Engine of the same process goes on at the clock of the earlier one (epoch()) and keeps
// its options, so asking for others is refused. SIGINT is left as it was: Engine's handler would
// exit().
#pragma once

#include <memory>
#include <simgrid/s4u.hpp>
#include <string>
#include <vector>

#include "cmsim/engine/runtime.hpp"

namespace cmsim::engine {

class SimGridEngine {
 public:
  explicit SimGridEngine(const RuntimeOptions& options);
  ~SimGridEngine();
  SimGridEngine(const SimGridEngine&) = delete;
  SimGridEngine& operator=(const SimGridEngine&) = delete;

  simgrid::s4u::Engine& engine() { return *engine_; }
  double epoch() const { return epoch_; }
  std::vector<std::string> settings() const;

 private:
  std::unique_ptr<simgrid::s4u::Engine> engine_;
  double epoch_ = 0;
};

}  // namespace cmsim::engine
