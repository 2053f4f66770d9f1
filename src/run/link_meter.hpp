// What the links carry over a run: a listener that reads the runtime's counts now and then.
//
// Between two readings a count grows evenly. Readings are thinned out so that a run keeps between
// 1,024 and 2,048 of them.
#pragma once

#include <span>
#include <vector>

#include "cmsim/coll/group_routes.hpp"
#include "cmsim/engine/runtime.hpp"
#include "cmsim/metrics/result.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::run {

class LinkMeter : public serve::Listener {
 public:
  explicit LinkMeter(const engine::SimGridRuntime& runtime);

  void on_queue(const serve::QueueEvent& event) override;

  /// Transfers alone, by class and direction. `to` is the present at most. The busiest port of a
  /// class is taken to be as much above its mean as it is in the whole run.
  std::vector<metrics::LinkResult> links(Seconds from, Seconds to) const;

 private:
  struct Reading {
    Seconds at = 0;
    std::vector<double> bytes, busy;  // by class and direction
  };
  Reading read(Seconds at) const;
  /// The counts at a date, `present` at the latest.
  Reading reading_at(Seconds at, const Reading& present) const;

  const engine::SimGridRuntime& runtime_;
  std::vector<Reading> readings_;
  Seconds spacing_ = 0x1p-16;
};

/// Adds what exchanges have put on the ports of the fabric in `length` seconds.
void add_exchanges(std::vector<metrics::LinkResult>& links, const coll::Fabric& fabric,
                   const coll::PortLoads& exchanges, Seconds length);

}  // namespace cmsim::run
