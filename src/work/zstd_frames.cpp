#include "zstd_frames.hpp"

#include <cstdint>

namespace cmsim::work {
namespace {

constexpr std::uint32_t kMagic = 0xFD2FB528, kSkippableMagic = 0x184D2A50;

class FrameWalker {
 public:
  explicit FrameWalker(std::istream& data) : data_(data) {}

  bool at_end() { return data_.peek() == std::istream::traits_type::eof(); }

  /// Goes past one frame; false when it does not end within the data.
  bool skip_frame() {
    const std::uint64_t magic = number(4);
    if ((magic & 0xFFFFFFF0) == kSkippableMagic) return skip(number(4));
    if (magic != kMagic) return false;
    const std::uint64_t descriptor = number(1);
    const bool single_segment = (descriptor >> 5 & 1) != 0;
    const bool checksum = (descriptor >> 2 & 1) != 0;
    constexpr unsigned kDictionarySize[] = {0, 1, 2, 4}, kContentSize[] = {0, 2, 4, 8};
    const unsigned content = kContentSize[descriptor >> 6];
    if (!skip((single_segment ? 0 : 1) + kDictionarySize[descriptor & 3] +
              (content == 0 && single_segment ? 1 : content))) {
      return false;
    }
    for (bool last = false; !last;) {
      const std::uint64_t block = number(3);
      last = (block & 1) != 0;
      const bool repeated_byte = (block >> 1 & 3) == 1;
      if (!data_ || !skip(repeated_byte ? 1 : block >> 3)) return false;
    }
    return skip(checksum ? 4 : 0);
  }

 private:
  /// A little-endian number of `bytes` bytes; 0 past the end, where the stream fails.
  std::uint64_t number(int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) {
      const auto byte = data_.get();
      if (!data_) return 0;
      value |= static_cast<std::uint64_t>(byte) << (8 * i);
    }
    return value;
  }
  bool skip(std::uint64_t bytes) {
    data_.ignore(static_cast<std::streamsize>(bytes));
    return data_.good() && static_cast<std::uint64_t>(data_.gcount()) == bytes;
  }

  std::istream& data_;
};

}  // namespace

bool has_whole_zstd_frames(std::istream& data) {
  FrameWalker walker(data);
  while (!walker.at_end()) {
    if (!walker.skip_frame()) return false;
  }
  return true;
}

}  // namespace cmsim::work
