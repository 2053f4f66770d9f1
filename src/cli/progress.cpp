#include "progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "terminal.hpp"

namespace cmsim::cli {
std::string progress_text(std::int64_t ended, std::int64_t total, Seconds simulated, double elapsed,
                          std::size_t columns) {
  constexpr std::size_t kWidestBar = 30;
  const double share = total > 0 ? static_cast<double>(ended) / static_cast<double>(total) : 0;
  std::string text = fmt::format("{} of {} requests, {} s simulated", grouped(ended),
                                 grouped(total), grouped(static_cast<std::int64_t>(simulated)));
  if (share > 0.005) {
    text += fmt::format(", {} left", duration_text(elapsed * (1 - share) / share));
  }
  if (text.size() + 8 > columns) return text.substr(0, columns);  // no room for a bar
  const std::size_t width = std::min(kWidestBar, columns - text.size() - 3);
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(width));
  return fmt::format("[{}{}] {}", std::string(filled, '#'), std::string(width - filled, '.'), text);
}

void Progress::set_total(std::int64_t requests) {
  total_ = requests;
  start_ = Clock::now();
}

void Progress::on_request_end(const serve::RequestRecord&) { ++ended_; }

void Progress::maybe_draw(Seconds now) {
  if (++events_ % 64 != 0) return;  // asking for the time costs more than an event should
  const auto time = Clock::now();
  if (time < next_) return;
  next_ = time + std::chrono::milliseconds(500);
  const double elapsed = std::chrono::duration<double>(time - start_).count();
  const std::size_t columns = terminal_columns(Stream::kError) - 1;
  const std::string text = progress_text(ended_, total_, now, elapsed, columns);
  const std::size_t blanks = drawn_ > text.size() ? drawn_ - text.size() : 0;
  say("\r{}{}", text, std::string(std::min(blanks, columns - text.size()), ' '));
  drawn_ = text.size();
}

void Progress::clear() {
  if (drawn_ > 0) say("\r{}\r", std::string(drawn_, ' '));
  drawn_ = 0;
}

}  // namespace cmsim::cli
