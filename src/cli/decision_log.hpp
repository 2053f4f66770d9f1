// What is decided in a run, for --log-level debug: one line an event, with its date.
#pragma once

#include "cmsim/serve/events.hpp"

namespace cmsim::cli {

class DecisionLog : public serve::Listener {
 public:
  void on_request_sent(const serve::RequestRecord& record) override;
  void on_request_end(const serve::RequestRecord& record) override;
  void on_prefill_batch(const serve::PrefillBatchEvent& event) override;
  void on_decode_step(const serve::DecodeStepEvent& event) override;
};

}  // namespace cmsim::cli
