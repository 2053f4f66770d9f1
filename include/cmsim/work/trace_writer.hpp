// Writing a trace as Mooncake JSONL: timestamp (whole ms), input_length, output_length, hash_ids.
//
// Blocks are kept as they are; a trace without blocks is written without hash_ids, and a trace
// without arrivals (lengths only) with time stamp 0. The block size is not part of the format.
#pragma once

#include <ostream>

#include "cmsim/work/trace.hpp"

namespace cmsim::work {

void write_mooncake_jsonl(const Trace& trace, std::ostream& out);

}  // namespace cmsim::work
