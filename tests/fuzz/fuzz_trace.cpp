// Any bytes are a trace that keeps the invariants of trace.hpp, or a ConfigError. What is read is
// written as Mooncake JSONL, which must be read back as the same requests.
#include <cstdint>
#include <sstream>
#include <string_view>

#include "cmsim/base/error.hpp"
#include "cmsim/work/trace_reader.hpp"
#include "cmsim/work/trace_summary.hpp"
#include "cmsim/work/trace_writer.hpp"
#include "oracle.hpp"

namespace {

using cmsim::fuzz::require;
using cmsim::work::Trace;

void check_invariants(const Trace& trace) {
  double last = 0;
  std::size_t blocks = 0;
  for (std::size_t i = 0; i < trace.rows.size(); ++i) {
    const auto& row = trace.rows[i];
    require(row.arrival >= last, "arrivals never decrease");
    last = row.arrival;
    require(row.prompt_tokens >= 1 && row.output_tokens >= 1, "lengths are positive");
    const std::int64_t needed =
        (std::int64_t{row.prompt_tokens} + trace.block_size - 1) / trace.block_size;
    require(row.block_count == (trace.has_blocks() ? needed : 0), "blocks cover the prompt");
    blocks += trace.blocks(i).size();
  }
  require(blocks == trace.block_ids.size(), "every block belongs to a row");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // A second of a profile suffices: its rates may ask for millions of requests an hour.
  const cmsim::work::ReadOptions options{.end = bytes.find("chunk-") == bytes.npos ? 1e300 : 1.0};
  Trace trace;
  try {
    trace = cmsim::work::parse_trace(bytes, "fuzz", options);
  } catch (const cmsim::ConfigError& error) {
    cmsim::fuzz::check_message(error);
    return 0;
  }
  check_invariants(trace);
  summarize(trace);
  if (trace.rows.empty()) return 0;
  std::ostringstream out;
  write_mooncake_jsonl(trace, out);
  const Trace again =
      cmsim::work::parse_trace(out.str(), "again", {.block_size = trace.block_size});
  require(again.rows.size() == trace.rows.size() && again.block_ids == trace.block_ids,
          "what is written is read again");
  return 0;
}
