// How far a study is, on stderr and for a terminal only: points ended and failed, time left.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace cmsim::cli {

class StudyProgress {
 public:
  explicit StudyProgress(bool shown) : shown_(shown) {}
  ~StudyProgress() { clear(); }
  StudyProgress(const StudyProgress&) = delete;
  StudyProgress& operator=(const StudyProgress&) = delete;

  void start(std::size_t points);
  void ended(bool well);
  void clear();

 private:
  void draw();

  using Clock = std::chrono::steady_clock;
  bool shown_, drawn_ = false;
  std::size_t total_ = 0, ended_ = 0, failed_ = 0;
  Clock::time_point began_, next_;
};

}  // namespace cmsim::cli
