// The one seam between the simulator and its clock: what the serving system may ask of time and
// wires.
//
// engine/ implements it on SimGrid; unit tests use tests/coll/fake_runtime.hpp. Callbacks run in
// (time, priority, sequence) order, one at a time, never re-entrantly, and may ask for anything
// here. Invariant: unless the run is stopped, every transfer ends once and says how.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <utility>

#include "cmsim/base/units.hpp"
#include "cmsim/hw/endpoint.hpp"
#include "cmsim/hw/plane.hpp"

namespace cmsim::hw {
struct Fault;
}

namespace cmsim::coll {

using hw::Plane;
struct PortLoads;

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

/// Data source and destination of a transfer: a read moves target -> initiator.
inline hw::Endpoint source_of(const Transfer& t) {
  return t.op == Op::kRead ? t.target : t.initiator;
}
inline hw::Endpoint destination_of(const Transfer& t) {
  return t.op == Op::kRead ? t.initiator : t.target;
}

/// How a transfer ended. Delivered is what had arrived of its payload: all of it when it is done.
struct Outcome {
  enum class End : std::uint8_t { kDone, kCancelled, kFailed };
  End end = End::kDone;
  Bytes delivered = 0;
  Seconds at = 0;
};

/// Name an event to come, or a transfer under way. Those that have run, ended or been cancelled
/// have no name any more, and the default was never one.
struct EventId {
  std::uint32_t place = 0;
  std::uint64_t number = 0;
};
struct TransferId {
  std::uint32_t place = 0;
  std::uint64_t number = 0;
};

/// Bytes that the ranks of an instance send together, each of which loads the ports so.
struct WireLoad {
  const PortLoads* per_byte = nullptr;  // outlives the runtime's run(); null: nothing is sent
  double bytes = 0;
};

/// Ranks that compute and exchange in turn: a decode step or a prefill batch.
struct Iteration {
  Seconds duration = 0;           // with the wires to itself
  int exchanges = 0;              // spread evenly over it
  std::array<WireLoad, 2> loads;  // of all of them; one instance has the same two ever
  /// The duration when all exchanges take so many times as long on the wire; may be null where
  /// nothing is sent. Valid until the iteration ends.
  std::function<Seconds(double)> stretched;
};

/// Events of one date run in this order (then by sequence of scheduling).
enum class Priority : std::uint8_t { kTransferDone, kIterationDone, kArrival, kDecision, kSample };

class Runtime {
 public:
  using Callback = std::function<void()>;
  using Ended = std::function<void(const Outcome&)>;
  virtual ~Runtime() = default;

  virtual Seconds now() const = 0;
  /// Runs `callback` at simulated time `when` >= now().
  virtual EventId schedule_at(Seconds when, Priority priority, Callback callback) = 0;
  /// The event will not run. Nothing happens when it has no name any more.
  virtual void cancel(EventId event) = 0;
  /// Starts the transfer now; `ended` runs when its last byte has arrived, or when it is cancelled
  /// or a link of its path is lost. bytes >= 0.
  virtual TransferId transfer(const Transfer& transfer, Ended ended) = 0;
  /// Ends the transfer now, cancelled. Nothing happens when it has no name any more.
  virtual void cancel(TransferId transfer) = 0;
  /// Runs `ended` (kIterationDone) when the iteration that starts now is over: after its duration,
  /// or later where its exchanges share links with transfers or with those of others.
  virtual void iterate(Iteration iteration, Callback ended) {
    schedule_at(now() + iteration.duration, Priority::kIterationDone, std::move(ended));
  }
  /// From now on `fault.left` (0 to 1) is left of the bandwidth of every link of this part, in
  /// place of what was said of the part before: 0 fails the transfers over them, 1 makes it whole.
  virtual void apply(const hw::Fault& fault) = 0;
  /// Ends run() after the current callback.
  virtual void stop() = 0;
};

}  // namespace cmsim::coll
