// Whether zstd data is whole. Boost's decompressor takes the end of its input for the end of the
// data, so a file cut at the right place would pass for a shorter trace. Only frame and block
// headers are read (RFC 8878 §3.1); the blocks are skipped, and checked when they are decompressed.
#pragma once

#include <istream>

namespace cmsim::work {

/// True when the stream is a sequence of complete zstd frames up to its end.
bool has_whole_zstd_frames(std::istream& data);

}  // namespace cmsim::work
