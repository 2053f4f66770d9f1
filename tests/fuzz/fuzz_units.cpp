// Any text is a finite quantity or a UnitError, and what format_quantity() writes is not empty.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cmsim/base/units.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using cmsim::Dimension;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Dimension dimension : {Dimension::kNumber, Dimension::kTime, Dimension::kBytes,
                                    Dimension::kBandwidth, Dimension::kOpsRate, Dimension::kRate}) {
    try {
      const double value = cmsim::parse_quantity(text, dimension);
      if (!std::isfinite(value)) std::abort();
      if (cmsim::format_quantity(value, dimension).empty()) std::abort();
    } catch (const cmsim::UnitError&) {
    }
  }
  return 0;
}
