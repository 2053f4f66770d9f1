// A progress line on stderr while a run goes on, for a terminal only. Wall-clock lives here.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cmsim/serve/events.hpp"
#include "cmsim/work/trace.hpp"

namespace cmsim::cli {

/// What the line says, at most `columns` wide, without an end of line. `elapsed` is wall-clock.
std::string progress_text(std::int64_t ended, std::int64_t total, Seconds simulated, double elapsed,
                          std::size_t columns);

/// Redraws the line in place at most twice a second. It uses no escapes, only carriage returns and
/// blanks, and stays below the width of the terminal, so that it never wraps.
class Progress : public serve::Listener {
 public:
  ~Progress() override { clear(); }
  void set_total(std::int64_t requests);
  void on_request_end(const serve::RequestRecord& record) override;
  void on_decode_step(const serve::DecodeStepEvent& event) override { maybe_draw(event.end); }
  void on_prefill_batch(const serve::PrefillBatchEvent& event) override { maybe_draw(event.end); }
  /// Clears the line.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  void maybe_draw(Seconds now);

  std::int64_t total_ = 0, ended_ = 0;
  int events_ = 0;
  std::size_t drawn_ = 0;  // columns
  Clock::time_point start_ = Clock::now(), next_ = start_ + std::chrono::milliseconds(500);
};

}  // namespace cmsim::cli
