#include "study_progress.hpp"

#include <fmt/format.h>

#include "terminal.hpp"

namespace cmsim::cli {

void StudyProgress::start(std::size_t points) {
  total_ = points;
  ended_ = failed_ = 0;
  began_ = next_ = Clock::now();
}

void StudyProgress::ended(bool well) {
  ++ended_;
  if (!well) ++failed_;
  if (shown_ && Clock::now() >= next_) draw();
}

void StudyProgress::draw() {
  next_ = Clock::now() + std::chrono::milliseconds(100);
  const double spent = std::chrono::duration<double>(Clock::now() - began_).count();
  const double left = spent / static_cast<double>(ended_) * static_cast<double>(total_ - ended_);
  const auto filled = static_cast<int>(20 * ended_ / total_);
  say("\r[{:#<{}}{:.<{}}] {} of {} points{}, {} left \033[K", "", filled, "", 20 - filled,
      grouped(static_cast<std::int64_t>(ended_)), grouped(static_cast<std::int64_t>(total_)),
      failed_ > 0 ? fmt::format(", {} failed", failed_) : "", duration_text(left));
  drawn_ = true;
}

void StudyProgress::clear() {
  if (drawn_) say("\r\033[K");
  drawn_ = false;
}

}  // namespace cmsim::cli
