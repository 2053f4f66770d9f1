// A progress line on stderr while a run goes on, for a terminal only. Wall-clock lives here.
#pragma once

#include <chrono>
#include <cstdint>

#include "cmsim/serve/events.hpp"
#include "cmsim/work/trace.hpp"

namespace cmsim::cli {

class Progress : public serve::Listener {
 public:
  ~Progress() override { clear(); }
  void set_total(std::int64_t requests) { total_ = requests; }
  void on_request_end(const serve::RequestRecord& record) override;
  void on_decode_step(const serve::DecodeStepEvent& event) override { maybe_draw(event.end); }
  void on_prefill_batch(const serve::PrefillBatchEvent& event) override { maybe_draw(event.end); }
  /// Clears the line.
  void clear();

 private:
  void maybe_draw(Seconds now);

  std::int64_t total_ = 0, ended_ = 0;
  int events_ = 0;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
};

}  // namespace cmsim::cli
