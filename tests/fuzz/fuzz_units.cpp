// Any text is a finite quantity or a UnitError, and what format_quantity() writes is not empty.
#include <cmath>
#include <cstdint>
#include <string_view>

#include "cmsim/base/units.hpp"
#include "oracle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using cmsim::Dimension;
  using cmsim::fuzz::require;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const Dimension dimension : {Dimension::kNumber, Dimension::kTime, Dimension::kBytes,
                                    Dimension::kBandwidth, Dimension::kOpsRate, Dimension::kRate}) {
    try {
      const double value = cmsim::parse_quantity(text, dimension);
      require(std::isfinite(value), "a quantity is finite");
      require(!cmsim::format_quantity(value, dimension).empty(), "a quantity is spelled");
    } catch (const cmsim::UnitError& error) {
      require(*error.what() != '\0', "a message is not empty");
    }
  }
  return 0;
}
