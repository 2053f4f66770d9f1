#include "zstd_frames.hpp"

#include <algorithm>

namespace cmsim::work {
namespace {

constexpr std::uint32_t kMagic = 0xFD2FB528, kSkippableMagic = 0x184D2A50;
constexpr unsigned kFieldSize[] = {4, 4, 1, 3, 1};  // in the order of Field

}  // namespace

void ZstdFrames::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (skip_ > 0) {
      const std::uint64_t part = std::min<std::uint64_t>(skip_, bytes.size());
      skip_ -= part;
      bytes.remove_prefix(part);
      continue;
    }
    value_ |= std::uint32_t{static_cast<unsigned char>(bytes.front())} << (8 * have_);
    bytes.remove_prefix(1);
    if (++have_ < kFieldSize[static_cast<unsigned>(expected_)]) continue;
    const std::uint32_t value = value_;
    value_ = have_ = 0;
    take(value);
  }
}

void ZstdFrames::take(std::uint32_t value) {
  switch (expected_) {
    case Field::kMagic:
      expected_ = value == kMagic                            ? Field::kDescriptor
                  : (value & 0xFFFFFFF0U) == kSkippableMagic ? Field::kSkippableSize
                                                             : Field::kNothing;
      break;
    case Field::kSkippableSize:
      skip_ = value;
      expected_ = Field::kMagic;
      break;
    case Field::kDescriptor: {
      const bool single_segment = (value >> 5 & 1) != 0;
      constexpr unsigned kDictionarySize[] = {0, 1, 2, 4}, kContentSize[] = {0, 2, 4, 8};
      const unsigned content = kContentSize[value >> 6];
      checksum_ = (value >> 2 & 1) != 0;
      skip_ = (single_segment ? 0 : 1) + kDictionarySize[value & 3] +
              (content == 0 && single_segment ? 1 : content);
      expected_ = Field::kBlock;
      break;
    }
    case Field::kBlock: {
      const bool last = (value & 1) != 0, repeated_byte = (value >> 1 & 3) == 1;
      skip_ = (repeated_byte ? 1 : value >> 3) + (last && checksum_ ? 4 : 0);
      if (last) expected_ = Field::kMagic;
      break;
    }
    case Field::kNothing:
      break;
  }
}

}  // namespace cmsim::work
