#include "cmsim/run/digest.hpp"

#include <fmt/format.h>

#include <cmath>

namespace cmsim::run {

std::string Digest::hex() const { return fmt::format("{:016x}", hash_); }

std::string digest_of(const work::Trace& trace) {
  Digest digest;
  for (std::size_t i = 0; i < trace.rows.size(); ++i) {
    const work::TraceRow& row = trace.rows[i];
    digest.add(static_cast<std::uint64_t>(std::llround(row.arrival * 1e9)));
    digest.add(static_cast<std::uint64_t>(row.prompt_tokens));
    digest.add(static_cast<std::uint64_t>(row.output_tokens));
    for (const std::uint64_t block : trace.blocks(i)) digest.add(block);
    if (row.session != 0) digest.add(row.session);
    if (!trace.waits.empty() && trace.waits[i].after >= 0) {
      digest.add(static_cast<std::uint64_t>(trace.waits[i].after));
      digest.add(static_cast<std::uint64_t>(std::llround(trace.waits[i].think * 1e9)));
    }
    if (!trace.classes.empty()) {
      digest.add(trace.classes[static_cast<std::size_t>(row.request_class)]);
    }
  }
  return digest.hex();
}

nlohmann::json without_costs(nlohmann::json platform) {
  if (platform.is_object()) platform.erase("costs");
  return platform;
}

}  // namespace cmsim::run
