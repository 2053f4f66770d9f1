// A placed operator as the breakdown of a step lists it.
#pragma once

#include "cmsim/model/breakdown.hpp"
#include "cmsim/model/operators.hpp"

namespace cmsim::model {

inline const std::string& name_of(Unit unit, const hw::UnitNames& units) {
  static const std::string kExchange = "exchange";
  switch (unit) {
    case Unit::kMatrix:
      return units.matrix;
    case Unit::kVector:
      return units.vector;
    case Unit::kDma:
      return units.dma;
    case Unit::kExchange:
      break;
  }
  return kExchange;
}

inline OperatorTime operator_time(const Operator& op, std::string track, Seconds duration,
                                  BytesPerSecond hbm_bandwidth, const hw::UnitNames& units) {
  OperatorTime time;
  time.name = op.name;
  time.track = std::move(track);
  time.alone = op.cost.alone(hbm_bandwidth);
  time.duration = duration;
  time.hbm_bytes = op.cost.hbm_bytes;
  time.unit = name_of(op.unit, units);
  time.work = op.work;
  time.compute = op.cost.compute;
  time.memory = op.cost.hbm_bytes / hbm_bandwidth;
  time.fixed = op.cost.fixed;
  return time;
}

}  // namespace cmsim::model
