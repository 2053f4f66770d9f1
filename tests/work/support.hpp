// What the tests of this room share.
#pragma once

#include <gtest/gtest.h>

#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/device/array.hpp>
#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "cmsim/base/error.hpp"

namespace cmsim::work::test {

/// The message of the ConfigError that `action` throws; "no error" when it throws none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

template <class Compressor>
std::string compressed(const std::string& text, Compressor compressor) {
  namespace io = boost::iostreams;
  std::string out;
  io::filtering_istream in;
  in.push(compressor);
  in.push(io::array_source(text.data(), text.size()));
  io::copy(in, io::back_inserter(out));
  return out;
}
inline std::string gzipped(const std::string& text) {
  return compressed(text, boost::iostreams::gzip_compressor());
}
inline std::string zstd(const std::string& text) {
  return compressed(text, boost::iostreams::zstd_compressor());
}

/// A published trace beside the source tree, or where CMSIM_SHARED says; empty when there is none.
inline std::filesystem::path shared_trace(const std::string& file) {
  const char* shared = std::getenv("CMSIM_SHARED");
  const std::filesystem::path root =
      shared != nullptr ? shared : std::filesystem::path(CMSIM_SOURCE_DIR) / ".." / "shared";
  const auto path = root / "traces" / file;
  return std::filesystem::exists(path) ? path : std::filesystem::path();
}

}  // namespace cmsim::work::test
