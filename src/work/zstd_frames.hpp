// Whether zstd data is whole, told while it goes by. Boost's decompressor takes the end of its
// input for the end of the data, so a file cut at the right place would pass for a shorter trace.
// Only frame and block headers are read (RFC 8878 §3.1); the blocks are checked when they are
// decompressed.
#pragma once

#include <cstdint>
#include <string_view>

namespace cmsim::work {

class ZstdFrames {
 public:
  void feed(std::string_view bytes);
  /// True when what was fed is a sequence of complete frames.
  bool whole() const { return expected_ == Field::kMagic && have_ == 0 && skip_ == 0; }

 private:
  enum class Field { kMagic, kSkippableSize, kDescriptor, kBlock, kNothing };
  void take(std::uint32_t value);

  Field expected_ = Field::kMagic;  // kNothing: this is no zstd data
  std::uint32_t value_ = 0;         // the bytes of the field so far, little-endian
  unsigned have_ = 0;
  std::uint64_t skip_ = 0;  // bytes to go past before the field
  bool checksum_ = false;   // of the frame: four bytes after its last block
};

}  // namespace cmsim::work
