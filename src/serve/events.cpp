#include "cmsim/serve/events.hpp"

namespace cmsim::serve {

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kFinished:
      return "finished";
    case Outcome::kRejected:
      return "rejected";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kUnfinished:
      return "unfinished";
  }
  return "?";
}

const char* to_string(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "none";
    case Reason::kPromptExceedsKv:
      return "prompt_exceeds_kv";
    case Reason::kOutputExceedsKv:
      return "output_exceeds_kv";
    case Reason::kRejectedEarly:
      return "rejected_early";
    case Reason::kInterrupted:
      return "interrupted";
    case Reason::kNotSent:
      return "not_sent";
  }
  return "?";
}

const char* to_string(TransferKind kind) {
  switch (kind) {
    case TransferKind::kCacheRead:
      return "cache_read";
    case TransferKind::kCacheWrite:
      return "cache_write";
    case TransferKind::kKvPull:
      return "kv_pull";
    case TransferKind::kSsdRead:
      return "ssd_read";
    case TransferKind::kSsdWrite:
      return "ssd_write";
    case TransferKind::kSwapOut:
      return "swap_out";
    case TransferKind::kSwapIn:
      return "swap_in";
  }
  return "?";
}

SsdCounts& SsdCounts::operator+=(const SsdCounts& other) {
  for (const auto count : {&SsdCounts::stored, &SsdCounts::evicted, &SsdCounts::placed,
                           &SsdCounts::demoted, &SsdCounts::promoted, &SsdCounts::prefetched,
                           &SsdCounts::prefetch_used, &SsdCounts::prefetch_wasted}) {
    this->*count += other.*count;
  }
  return *this;
}

}  // namespace cmsim::serve
