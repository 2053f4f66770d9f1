// What the tests of this room share.
#pragma once

#include <gtest/gtest.h>

#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/device/array.hpp>
#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

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

/// A ustar with the given members.
inline std::string tar_of(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string tar;
  for (const auto& [path, content] : members) {
    std::string header(512, '\0');
    header.replace(0, path.size(), path);
    char size[12];
    std::snprintf(size, sizeof size, "%011zo", content.size());
    header.replace(124, 11, size);
    header.replace(148, 8, "        ");
    header[156] = '0';
    header.replace(257, 6, std::string("ustar\0", 6));
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    char checksum[8];
    std::snprintf(checksum, sizeof checksum, "%06o", sum);
    header.replace(148, 7, std::string(checksum, 7));
    tar += header + content + std::string((512 - content.size() % 512) % 512, '\0');
  }
  return tar + std::string(1024, '\0');
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
