// The one seam between the simulator and its clock: what the serving system may ask of time and
// wires.
//
// engine/ implements it on SimGrid; unit tests use tests/coll/fake_runtime.hpp. Callbacks run in
// (time, priority, sequence) order, one at a time, never re-entrantly, and may schedule or
// transfer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "cmsim/base/units.hpp"
#include "cmsim/hw/endpoint.hpp"
#include "cmsim/hw/plane.hpp"

namespace cmsim::coll {

using hw::Plane;

/// Whether the initiator pulls (read) or pushes (write); the two have different measured
/// efficiency.
enum class Op { kRead, kWrite };

/// One bulk transfer. `initiator` issues the operation; a read moves data target -> initiator.
struct Transfer {
  hw::Endpoint initiator;
  hw::Endpoint target;
  Bytes bytes = 0;
  Plane plane = Plane::kUb;
  Op op = Op::kRead;
};

/// Events of one date run in this order (then by sequence of scheduling).
enum class Priority : std::uint8_t { kTransferDone, kIterationDone, kArrival, kDecision, kSample };

class Runtime {
 public:
  using Callback = std::function<void()>;
  virtual ~Runtime() = default;

  virtual Seconds now() const = 0;
  /// Runs `callback` at simulated time `when` >= now().
  virtual void schedule_at(Seconds when, Priority priority, Callback callback) = 0;
  /// Starts the transfer now; `done` runs when its last byte has arrived. bytes >= 0.
  virtual void transfer(const Transfer& transfer, Callback done) = 0;
  /// Ends run() after the current callback.
  virtual void stop() = 0;
};

}  // namespace cmsim::coll
