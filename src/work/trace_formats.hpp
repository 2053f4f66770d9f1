// The readers behind read_trace(), one a format family. Each starts at the first line of its input.
#pragma once

#include <filesystem>
#include <string>

#include "cmsim/work/trace.hpp"
#include "cmsim/work/trace_reader.hpp"
#include "input_stream.hpp"

namespace cmsim::work {

Trace read_mooncake(InputStream& input, const ReadOptions& options);
Trace read_bailian(InputStream& input, const ReadOptions& options);
Trace read_azure(InputStream& input, const ReadOptions& options);
Trace read_burstgpt(InputStream& input, const ReadOptions& options);
Trace read_vidur(InputStream& input, const ReadOptions& options);

/// Draws requests from the profiles in a directory, or in the tar that `input` is.
Trace read_servegen(const std::filesystem::path& directory, const ReadOptions& options);
Trace read_servegen(InputStream& tar, const ReadOptions& options);

}  // namespace cmsim::work
