// timeseries.csv: what a run looked like, interval by interval.
//
// A listener that keeps some 150 B an interval. Intervals begin at the first send and are all of
// the same length but the last. Levels are means over the interval; what lasts is spread evenly
// over its time; what happens at a moment counts where it happens. Columns: docs/output.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cmsim/metrics/figures.hpp"
#include "cmsim/serve/events.hpp"

namespace cmsim::metrics {

class TimeSeries : public serve::Listener {
 public:
  static constexpr std::size_t kMostIntervals = 1'000'000;

  /// `interval` > 0.
  TimeSeries(Seconds interval, const SystemFacts& facts);

  void on_request_sent(const serve::RequestRecord& record) override;
  void on_request_end(const serve::RequestRecord& record) override;
  void on_prefill_batch(const serve::PrefillBatchEvent& event) override;
  void on_decode_step(const serve::DecodeStepEvent& event) override;
  void on_queue(const serve::QueueEvent& event) override;
  void on_cache(const serve::CacheEvent& event) override;
  void on_role(const serve::RoleEvent& event) override;

  /// With its header line. `run_end` is the clock at the end of the run. Throws ConfigError when
  /// the run was longer than kMostIntervals of them.
  std::string csv(Seconds run_end);

 private:
  /// Of queues and KV space, then of NPUs: in prefill, in decode, loading.
  static constexpr std::size_t kQueueLevels = 5, kLevels = 8;
  struct Interval {
    std::int64_t sent = 0, finished = 0;
    std::array<double, kLevels> level_seconds{};
    double prefill_busy = 0, batches = 0, batch_tokens = 0;
    double prompt_tokens = 0;  // computed, in batches or beside the sequences of mixed instances
    double decode_busy = 0, steps = 0, sequences = 0, output_tokens = 0;
    double lookup_tokens = 0, hit_tokens = 0, ssd_hit_tokens = 0;
  };
  Interval& at(Seconds time);
  /// Calls visit(interval, share) for every interval that [from, to] has a part in.
  template <class Visit>
  void spread(Seconds from, Seconds to, const Visit& visit);
  void reach(Seconds time);

  Seconds interval_;
  SystemFacts facts_;
  bool begun_ = false, too_long_ = false;
  Seconds begin_ = 0, since_ = 0;
  std::array<double, kLevels> level_{};
  std::map<std::pair<std::int32_t, std::int32_t>, serve::RoleEvent> blocks_;  // as they last were
  std::vector<Interval> intervals_;
};

}  // namespace cmsim::metrics
