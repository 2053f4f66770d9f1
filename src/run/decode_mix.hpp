// Decode as it stands with n requests in it, and the step these make.
//
// The requests are as they are met: drawn in proportion to their output length (length-biased), at
// an age that is uniform over it (D. R. Cox, "Renewal Theory", 1962, §5). Each in turn goes to the
// die with the least KV that has a slot, so a step of n waits for the die that n such requests load
// the most. Where instances are mixed, as many requests come as go, and their prompts are computed
// beside: in the mean that many tokens a step, a rank taking as much of them as its budget leaves.
#pragma once

#include <span>
#include <vector>

#include "cmsim/base/random.hpp"
#include "cmsim/run/scenario.hpp"
#include "step_models.hpp"

namespace cmsim::run {

/// Lengths of a request.
struct Lengths {
  Tokens prompt = 0, output = 0;
  Tokens fresh = 0;  // of the prompt, what must be computed
};

class DecodeMix {
 public:
  struct Member {
    std::size_t drawn = 0;  // index of its lengths
    double age = 0;         // share of its output that is there
  };

  /// `lengths` is not empty and has output; it must outlive this.
  DecodeMix(std::span<const Lengths> lengths, const Scenario& scenario,
            const model::DecodePipeline& model, RandomStream random);

  /// Those that find a slot and KV space, in the order in which they come. A twentieth of a die's
  /// space is left to them to grow into, unless one needs all of it.
  std::span<const Member> members() const { return members_; }
  /// A step of the slowest instance when the first n members are there.
  Seconds step(std::size_t n) const;
  /// Output tokens per second of all instances then; where their prompts cannot be computed as fast
  /// as they go, as many as can.
  double rate(std::size_t n) const;
  /// Tokens of a request and step.
  double tokens_per_step() const { return tokens_per_step_; }
  /// The most members, 0 to all, for which `holds(n)`, which is false from some n on.
  template <class Holds>
  std::size_t most(const Holds& holds) const {
    std::size_t low = 0, high = members_.size();
    while (low < high) {
      const std::size_t middle = (low + high + 1) / 2;
      if (holds(middle)) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

 private:
  struct InstanceStep {
    double members = 0;
    Seconds duration = 0;
    double computed = 1;  // of the prompts that come, what the step has budget for
  };
  std::vector<InstanceStep> steps(std::size_t n) const;
  Tokens context(const Member& member) const;
  Tokens whole(const Member& member) const;
  void draw(std::int64_t count, RandomStream& random);
  void deal(const serve::DecodeSpec& decode);
  /// And the share of those that come for which ranks have budget.
  std::vector<model::PromptLoad> prompts_beside(std::span<const std::int32_t> sequences,
                                                double& share) const;

  std::span<const Lengths> lengths_;
  const model::DecodePipeline& model_;
  int instances_ = 1;
  double tokens_per_step_ = 1;
  Tokens budget_ = 0, tokens_per_sequence_ = 1;  // of a rank of mixed instances; 0 = not mixed
  double fresh_per_output_ = 0;                  // tokens
  std::vector<Member> members_;
  std::vector<std::size_t> ranks_of_;  // of the members
};

}  // namespace cmsim::run
