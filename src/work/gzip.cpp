#include "cmsim/work/gzip.hpp"

#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filtering_stream.hpp>

namespace cmsim::work {

std::string gzip(std::string_view text) {
  namespace io = boost::iostreams;
  std::string packed;
  {
    io::filtering_ostream stream;
    stream.push(io::gzip_compressor());
    stream.push(io::back_inserter(packed));
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  }  // the last block is written when the stream goes
  return packed;
}

}  // namespace cmsim::work
