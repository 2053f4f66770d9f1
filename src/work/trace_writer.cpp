#include "cmsim/work/trace_writer.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace cmsim::work {

void write_mooncake_jsonl(const Trace& trace, std::ostream& out) {
  constexpr std::size_t kFlush = 1 << 20;
  fmt::memory_buffer text;
  for (std::size_t i = 0; i < trace.rows.size(); ++i) {
    const TraceRow& row = trace.rows[i];
    fmt::format_to(std::back_inserter(text),
                   R"({{"timestamp": {}, "input_length": {}, "output_length": {})",
                   std::llround(row.arrival * 1e3), row.prompt_tokens, row.output_tokens);
    if (row.block_count > 0) {
      std::string_view separator = R"(, "hash_ids": [)";
      for (const std::uint64_t id : trace.blocks(i)) {
        fmt::format_to(std::back_inserter(text), "{}{}", separator, id);
        separator = ", ";
      }
      text.push_back(']');
    }
    text.push_back('}');
    text.push_back('\n');
    if (text.size() > kFlush) {
      out.write(text.data(), static_cast<std::streamsize>(text.size()));
      text.clear();
    }
  }
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

}  // namespace cmsim::work
