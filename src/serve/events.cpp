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

}  // namespace cmsim::serve
