// A short name for content: 64-bit FNV-1a, printed as 16 hex digits. Not cryptographic.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cmsim/work/trace.hpp"

namespace cmsim::run {

class Digest {
 public:
  void add(std::string_view bytes) {
    for (const char c : bytes) add_byte(static_cast<unsigned char>(c));
  }
  /// Little-endian bytes, whatever the machine.
  void add(std::uint64_t value) {
    for (int i = 0; i < 8; ++i, value >>= 8) add_byte(value & 0xff);
  }
  std::string hex() const;

 private:
  void add_byte(std::uint64_t byte) { hash_ = (hash_ ^ byte) * 0x100000001b3ULL; }
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

/// Of the rows (arrival in ns, lengths, blocks), so that equal requests have equal digests.
std::string digest_of(const work::Trace& trace);

/// What results depend on in a platform: all but its costs.
nlohmann::json without_costs(nlohmann::json platform);

}  // namespace cmsim::run
