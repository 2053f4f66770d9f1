#include "cmsim/metrics/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "cmsim/metrics/phases.hpp"

namespace cmsim::metrics {
namespace {

using serve::Outcome;
using serve::RequestRecord;

constexpr std::array<Tokens, 4> kPromptBounds{1024, 4096, 16384, 65536};

std::size_t length_bucket(const RequestRecord& record) {
  return static_cast<std::size_t>(std::ranges::lower_bound(kPromptBounds, record.prompt_tokens) -
                                  kPromptBounds.begin());
}

std::string bucket_name(std::size_t bucket) {
  if (bucket < kPromptBounds.size()) return fmt::format("to {}", kPromptBounds[bucket]);
  return fmt::format("above {}", kPromptBounds.back());
}

/// Time in which a request waits for a place, not for work done on it.
Seconds waiting_of(const RequestRecord& record) {
  const auto phases = phases_of(record);
  Seconds sum = 0;
  for (const int phase : kWaitingPhases) sum += phases[static_cast<std::size_t>(phase)].duration();
  return sum;
}

/// A request as its class and its length count it. Times below 0: none.
struct Served {
  bool rejected = false, finished = false, good = false;
  Seconds tpot = -1, ttft = -1, wait = -1;
};

Served served(const RequestRecord& record, const SystemFacts& facts) {
  Served seen;
  seen.rejected = record.outcome == Outcome::kRejected;
  seen.finished = record.outcome == Outcome::kFinished;
  if (!seen.finished) return seen;
  seen.good = check_slo(record, facts).both();
  if (facts.role != serve::Role::kPrefillOnly && record.output_tokens > 1) seen.tpot = tpot(record);
  if (record.initial_tokens > 0) return seen;
  seen.ttft = ttft(record);
  seen.wait = waiting_of(record);
  return seen;
}

class Group {
 public:
  void add(const Served& seen) {
    ++result_.requests;
    result_.rejected += seen.rejected ? 1 : 0;
    result_.finished += seen.finished ? 1 : 0;
    good_ += seen.good ? 1 : 0;
    if (seen.tpot >= 0) tpots_.push_back(seen.tpot);
    if (seen.ttft >= 0) ttfts_.push_back(seen.ttft);
    longest_ = std::max(longest_, seen.wait);
  }
  bool empty() const { return result_.requests == 0; }
  GroupResult take(std::string name) {
    result_.name = std::move(name);
    result_.share_slo = static_cast<double>(good_) / static_cast<double>(result_.requests);
    if (!ttfts_.empty()) result_.longest_wait = longest_;
    result_.ttft_ms = summarize(std::move(ttfts_), 1e3);
    result_.tpot_ms = summarize(std::move(tpots_), 1e3);
    return std::move(result_);
  }

 private:
  GroupResult result_;
  std::int64_t good_ = 0;
  Seconds longest_ = 0;
  std::vector<double> ttfts_, tpots_;
};

template <class Name>
std::vector<GroupResult> taken(std::vector<Group>& groups, const Name& name_of) {
  std::vector<GroupResult> results;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!groups[i].empty()) results.push_back(groups[i].take(name_of(i)));
  }
  return results;
}

/// (sum of x)^2 / (n x sum of x^2): 1 when all get the same, 1/n when one gets all.
double jain_index(std::span<const double> shares) {
  double sum = 0, squares = 0;
  for (const double share : shares) {
    sum += share;
    squares += share * share;
  }
  return squares > 0 ? sum * sum / (static_cast<double>(shares.size()) * squares) : kNoSample;
}

double imbalance(std::span<const double> loads) {
  const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  if (!(sum > 0)) return kNoSample;
  return std::ranges::max(loads) * static_cast<double>(loads.size()) / sum;
}

/// What the finished requests of a cohort made each instance and rank compute.
class Work {
 public:
  explicit Work(const SystemFacts& facts)
      : role_(facts.role),
        switches_(facts.deployment.role_switch.has_value()),
        ranks_(static_cast<std::size_t>(facts.deployment.decode.ranks())),
        of_prefill_(static_cast<std::size_t>(facts.deployment.prefill_places())),
        of_decode_(static_cast<std::size_t>(facts.deployment.decode_places())),
        of_ranks_(of_decode_.size() * ranks_) {}

  void add(const RequestRecord& record) {
    if (record.prefill_instance >= 0) {
      of_prefill_[static_cast<std::size_t>(record.prefill_instance)] +=
          static_cast<double>(record.prompt_tokens - record.cached_tokens);
    }
    if (record.decode_instance < 0) return;
    const auto instance = static_cast<std::size_t>(record.decode_instance);
    const auto output = static_cast<double>(output_of(record, role_));
    of_decode_[instance] += output;
    of_ranks_[instance * ranks_ + static_cast<std::size_t>(record.decode_rank)] += output;
  }
  ImbalanceResult result() const {
    return {of_those(of_prefill_), of_those(of_decode_), of_those(of_ranks_)};
  }

 private:
  /// Where roles change, of those that served in the role.
  double of_those(std::vector<double> loads) const {
    if (switches_) std::erase(loads, 0.0);
    return imbalance(loads);
  }

  serve::Role role_;
  bool switches_;
  std::size_t ranks_;  // of a decode instance
  std::vector<double> of_prefill_, of_decode_, of_ranks_;
};

}  // namespace

ServiceResult service_of(const Records& records, const SystemFacts& facts, const Cohort& cohort) {
  std::vector<Group> classes(std::max<std::size_t>(1, facts.classes.size()));
  std::vector<Group> lengths(kPromptBounds.size() + 1);
  Work work(facts);
  std::vector<double> speeds;  // output tokens per second of a request
  ServiceResult service;
  for (const RequestRecord& record : records) {
    if (record.outcome == Outcome::kUnfinished || !cohort.has(record)) continue;
    const Served seen = served(record, facts);
    classes[static_cast<std::size_t>(record.request_class)].add(seen);
    lengths[length_bucket(record)].add(seen);
    if (!seen.finished) continue;
    work.add(record);
    if (record.initial_tokens > 0) continue;
    speeds.push_back(static_cast<double>(output_of(record, facts.role)) / e2e(record));
    service.longest_wait = std::max(service.longest_wait.value_or(0), seen.wait);
  }
  service.classes = taken(classes, [&](std::size_t i) {
    return facts.classes.empty() ? "all" : facts.classes[i].name;
  });
  service.prompt_lengths = taken(lengths, bucket_name);
  service.jain_index = jain_index(speeds);
  service.imbalance = work.result();
  return service;
}

}  // namespace cmsim::metrics
