// What an iteration of an instance puts on the wires, as the runtime takes it.
#pragma once

#include "cmsim/coll/runtime.hpp"
#include "cmsim/model/step.hpp"

namespace cmsim::serve {

/// `bytes_per_die` of `dies` dies. `wires` must outlive the iteration.
inline coll::Iteration on_wires(Seconds duration, const model::IterationBytes& bytes_per_die,
                                std::size_t dies, const model::WireUse& wires) {
  const auto all = [dies](Bytes of_die) {
    return static_cast<double>(of_die) * static_cast<double>(dies);
  };
  return {.duration = duration,
          .exchanges = wires.exchanges,
          .loads = {coll::WireLoad{wires.exchange.get(), all(bytes_per_die.exchange)},
                    coll::WireLoad{wires.collective.get(), all(bytes_per_die.collective)}},
          .stretched = nullptr};
}

}  // namespace cmsim::serve
