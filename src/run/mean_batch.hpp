// The mean decode step and the mean prefill batch of a run: what its breakdown is made for.
//
// A listener that keeps two numbers a step or batch; asked once, for the steady window (for the
// whole run when nothing ended in it).
#pragma once

#include <optional>
#include <vector>

#include "cmsim/metrics/result.hpp"
#include "cmsim/serve/events.hpp"
#include "step_models.hpp"

namespace cmsim::run {

class MeanBatch : public serve::Listener {
 public:
  void on_prefill_batch(const serve::PrefillBatchEvent& event) override;
  void on_decode_step(const serve::DecodeStepEvent& event) override;

  struct Mean {  // of one instance
    double sequences = 0;
    double tokens = 0;  // context held (decode), or to be computed (prefill)
    double cached = 0;  // prefill: context found in the cache
  };
  /// Nothing when there was no step or batch.
  std::optional<Mean> decode(const metrics::SteadyWindow& window) const;
  std::optional<Mean> prefill(const metrics::SteadyWindow& window) const;

 private:
  struct Sample {
    Seconds end = 0;
    Mean batch;
  };
  static std::optional<Mean> mean(const std::vector<Sample>& samples,
                                  const metrics::SteadyWindow& window);
  std::vector<Sample> decode_, prefill_;
};

/// Fills in the breakdowns and decode_layer_us of the roles that did anything.
void add_breakdowns(metrics::Result& result, const StepModels& models, const MeanBatch& batches);

}  // namespace cmsim::run
