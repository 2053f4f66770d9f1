#include "cmsim/work/gzip.hpp"

#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_stream.hpp>

namespace cmsim::work {
namespace {

namespace io = boost::iostreams;

template <class Compressor>
std::string packed(std::string_view text, const Compressor& compressor) {
  std::string packed;
  {
    io::filtering_ostream stream;
    stream.push(compressor);
    stream.push(io::back_inserter(packed));
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  }  // the last block is written when the stream goes
  return packed;
}

}  // namespace

std::string gzip(std::string_view text) { return packed(text, io::gzip_compressor()); }
std::string zstd(std::string_view text) { return packed(text, io::zstd_compressor()); }

std::string packed_for(const std::filesystem::path& file, std::string text) {
  if (file.extension() == ".gz") return gzip(text);
  return file.extension() == ".zst" ? zstd(text) : text;
}

}  // namespace cmsim::work
