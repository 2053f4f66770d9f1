#include "cmsim/serve/mtp.hpp"

#include <boost/random/binomial_distribution.hpp>

namespace cmsim::serve {
namespace {

constexpr std::int64_t kWorthABinomial = 12;  // below it single draws are cheaper

/// Draft tokens accepted in one iteration.
Tokens draw_accepted(const MtpSpec& mtp, RandomStream& random) {
  Tokens accepted = 0;
  while (accepted < mtp.draft_tokens && random.bernoulli(mtp.acceptance)) ++accepted;
  return accepted;
}

/// Draft tokens accepted in `iterations` of them: those that accept the j-th are a binomial share
/// of those that accept the one before.
Tokens draw_accepted_in(std::int64_t iterations, const MtpSpec& mtp, RandomStream& random) {
  Tokens accepted = 0;
  std::int64_t still = iterations;
  for (int j = 0; j < mtp.draft_tokens && still > 0; ++j) {
    boost::random::binomial_distribution<std::int64_t, double> share(still, mtp.acceptance);
    still = share(random.engine());
    accepted += still;
  }
  return accepted;
}

}  // namespace

double mean_tokens_per_iteration(const MtpSpec& mtp) {
  double sum = 0, power = 1;
  for (int j = 0; j <= mtp.draft_tokens; ++j, power *= mtp.acceptance) sum += power;
  return sum;
}

std::int64_t draw_iterations(Tokens output_tokens, const MtpSpec& mtp, RandomStream& random) {
  if (mtp.draft_tokens <= 0 || mtp.acceptance <= 0) return output_tokens;
  std::int64_t iterations = 0;
  Tokens left = output_tokens;
  while (left > 0) {
    const std::int64_t safe = left / (mtp.draft_tokens + 1);  // these cannot emit more than `left`
    if (safe >= kWorthABinomial && mtp.acceptance < 1) {
      iterations += safe;
      left -= safe + draw_accepted_in(safe, mtp, random);
    } else {
      ++iterations;
      left -= 1 + draw_accepted(mtp, random);
    }
  }
  return iterations;
}

}  // namespace cmsim::serve
