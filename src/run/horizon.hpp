// Ends a run at the first event at or after a simulated date. A listener and not a scheduled event,
// because an event of its own would keep a run that is done earlier going until the horizon.
#pragma once

#include "cmsim/coll/runtime.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::run {

class HorizonListener : public serve::Listener {
 public:
  HorizonListener(coll::Runtime& runtime, Seconds horizon) : runtime_(runtime), horizon_(horizon) {}

  void on_prefill_batch(const serve::PrefillBatchEvent& event) override { check(event.end); }
  void on_decode_step(const serve::DecodeStepEvent& event) override { check(event.end); }
  void on_queue(const serve::QueueEvent& event) override { check(event.at); }

  bool reached() const { return reached_; }

 private:
  void check(Seconds at) {
    if (at < horizon_ || reached_) return;
    reached_ = true;
    runtime_.stop();
  }
  coll::Runtime& runtime_;
  Seconds horizon_;
  bool reached_ = false;
};

}  // namespace cmsim::run
