// The requests of a run that were sent and have not ended. Internal to serve/.
//
// By their row in the trace, in chunks of neighbours that come with the first of them and go with
// the last, so that a run holds what is under way and not its trace. References stay valid until
// the request is closed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace cmsim::serve {

template <class Request>
class RequestStore {
 public:
  explicit RequestStore(std::size_t rows)
      : phases_(rows, Phase::kNew), chunks_((rows + kChunk - 1) / kChunk) {}

  std::size_t rows() const { return phases_.size(); }
  /// A new one; each row once.
  Request& open(std::size_t row) {
    Chunk& chunk = chunk_of(row);
    phases_[row] = Phase::kOpen;
    return chunk.requests[row % kChunk] = {};
  }
  void close(std::size_t row) {
    phases_[row] = Phase::kClosed;
    std::unique_ptr<Chunk>& chunk = chunks_[row / kChunk];
    if (++chunk->closed == kChunk) chunk.reset();
  }
  bool is_new(std::size_t row) const { return phases_[row] == Phase::kNew; }
  bool is_open(std::size_t row) const { return phases_[row] == Phase::kOpen; }
  /// Of an open one.
  Request& operator[](std::size_t row) { return chunks_[row / kChunk]->requests[row % kChunk]; }
  const Request& operator[](std::size_t row) const {
    return chunks_[row / kChunk]->requests[row % kChunk];
  }

 private:
  static constexpr std::size_t kChunk = 128;
  enum class Phase : std::uint8_t { kNew, kOpen, kClosed };
  struct Chunk {
    std::array<Request, kChunk> requests;
    std::size_t closed = 0;
  };
  Chunk& chunk_of(std::size_t row) {
    std::unique_ptr<Chunk>& chunk = chunks_[row / kChunk];
    if (!chunk) chunk = std::make_unique<Chunk>();
    return *chunk;
  }

  std::vector<Phase> phases_;
  std::vector<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace cmsim::serve
