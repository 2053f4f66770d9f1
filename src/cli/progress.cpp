#include "progress.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "terminal.hpp"

namespace cmsim::cli {

void Progress::on_request_end(const serve::RequestRecord&) { ++ended_; }

void Progress::maybe_draw(Seconds now) {
  if (++events_ % 64 != 0) return;  // asking for the time costs more than an event should
  const auto time = std::chrono::steady_clock::now();
  if (time < next_) return;
  next_ = time + std::chrono::milliseconds(100);
  const double share = total_ > 0 ? static_cast<double>(ended_) / static_cast<double>(total_) : 0;
  const int filled = static_cast<int>(share * 30);
  say("\r[{:#<{}}{:.<{}}] {} of {} requests, {} s simulated \033[K", "", filled, "", 30 - filled,
      grouped(ended_), grouped(total_), grouped(static_cast<std::int64_t>(now)));
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) say("\r\033[K");
  drawn_ = false;
}

}  // namespace cmsim::cli
