// How many NPUs prefill and how many decode.
#include <algorithm>
#include <limits>

#include "shipped_policies.hpp"

namespace cmsim::serve {
namespace {

class FixedProportion : public Policy<ProportionChoice> {
 public:
  Proportion decide(const View& view) override {
    return {view.decode_blocks, std::numeric_limits<Seconds>::infinity()};
  }
};

/// A block changes sides when one role is near its limit and the other would stay below its own
/// without it: prefill by what is before a new request, decode by its TPOT and by how full it is.
class LatencyPressure : public Policy<ProportionChoice> {
 public:
  explicit LatencyPressure(const PolicyContext& context)
      : interval_(context.parameter("interval")),
        high_(context.parameter("high")),
        low_(context.parameter("low")) {}
  Proportion decide(const View& view) override {
    const double prefill = view.backlog / view.limits.ttft, tpot = view.tpot / view.limits.tpot;
    const double full = view.decode.occupancy, blocks = view.decode.blocks;
    // Prefill that waits for places in decode has a backlog and is not what is short.
    const bool is_held_up = view.decode.waiting > view.prefill.waiting;
    const bool decode_is_short = std::max(tpot, full) > high_;
    std::int32_t wanted = view.decode_blocks;
    if (view.changing > 0) return {wanted, interval_};
    if (decode_is_short && view.prefill.blocks > 1 && (prefill < low_ || is_held_up)) {
      ++wanted;
    } else if (prefill > high_ && !decode_is_short && view.decode.blocks > 1 &&
               full * blocks / (blocks - 1) < high_) {
      --wanted;
    }
    return {wanted, interval_};
  }

 private:
  Seconds interval_;
  double high_, low_;
};

}  // namespace

void add_proportion(PolicyRegistry& registry) {
  registry.add<FixedProportion>({"fixed", "as the deployment begins"});
  registry.add<LatencyPressure>(
      {"latency_pressure",
       "a block changes sides when one role is near its limit and the other is not without it",
       {{.name = "interval",
         .kind = ParameterKind::kTime,
         .otherwise = 10,
         .minimum = 1e-3,
         .help = "between two looks"},
        {.name = "high",
         .otherwise = 0.9,
         .maximum = 100,
         .help = "share of its limit from which a role is short: of TTFT, TPOT, or space"},
        {.name = "low",
         .otherwise = 0.5,
         .maximum = 100,
         .help = "share of the TTFT up to which prefill can give"}}});
}

}  // namespace cmsim::serve
