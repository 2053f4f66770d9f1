// Bytes of an element, by the kind of number it is.
#pragma once

#include "cmsim/model/options.hpp"

namespace cmsim::model {

inline constexpr double kBf16 = 2, kInt8 = 1, kFp32 = 4;

inline double bytes_of(Precision precision) {
  return precision == Precision::kInt8 ? kInt8 : kBf16;
}

}  // namespace cmsim::model
