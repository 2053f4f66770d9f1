// A run as a Chrome trace: requests with their phases, the batches and steps of every instance,
// transfers, and what was lost from the start on.
//
// A request, and a transfer of a kind, has a row to itself while it lasts; rows are used again.
// Only what has a part in the window is kept, and of requests and transfers one in `every`; steps
// and batches all. Beyond kMostSpans the rest is counted, not kept.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

struct RunTraceOptions {
  std::int64_t every = 1;
  Seconds from = 0, to = 1e300;     // of the simulated clock
  std::vector<std::string> faults;  // of the machine, by name
};

class RunTrace : public serve::Listener {
 public:
  static constexpr std::size_t kMostSpans = 2'000'000;

  explicit RunTrace(RunTraceOptions options) : options_(std::move(options)) {}

  void on_request_end(const serve::RequestRecord& record) override;
  void on_prefill_batch(const serve::PrefillBatchEvent& event) override;
  void on_decode_step(const serve::DecodeStepEvent& event) override;
  void on_transfer(const serve::TransferEvent& event) override;

  std::size_t left_out() const { return left_out_; }  // for want of room
  std::string text() const;

 private:
  bool keeps(Seconds start, Seconds end);

  RunTraceOptions options_;
  std::vector<serve::RequestRecord> requests_;
  std::vector<serve::PrefillBatchEvent> batches_;
  std::vector<serve::DecodeStepEvent> steps_;
  std::vector<serve::TransferEvent> transfers_;
  std::array<std::int64_t, serve::kTransferKinds> seen_{};  // transfers, by kind
  std::size_t kept_ = 0, left_out_ = 0;
  Seconds last_ = 0;  // when something was last heard of
};

}  // namespace cmsim::metrics
