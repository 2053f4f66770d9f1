// Time stamps as "2023-11-16 18:15:46.6805900", with any number of decimals and, optionally, an
// offset from UTC ("+00:00" or "Z"). Whole seconds and fraction are kept apart, so no digit is
// lost.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace cmsim::work {

struct WallClock {
  std::int64_t seconds = 0;  // since 1970-01-01 00:00 UTC
  double fraction = 0;       // [0, 1)

  double since(const WallClock& start) const {
    return static_cast<double>(seconds - start.seconds) + (fraction - start.fraction);
  }
};

std::optional<WallClock> parse_wall_clock(std::string_view text);

}  // namespace cmsim::work
