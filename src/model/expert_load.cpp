#include "cmsim/model/expert_load.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <numbers>
#include <numeric>
#include <span>

#include "active_table.hpp"
#include "cmsim/base/kept.hpp"

namespace cmsim::model {
namespace {

// -ln Phi(t) of the standard normal, linear between the points of a table.
class LogTail {
 public:
  LogTail() {
    for (int i = 0; i <= kSteps; ++i) {
      const double t = kLow + static_cast<double>(i) / kPerUnit;
      values_[i] = -std::log(0.5 * std::erfc(-t / std::numbers::sqrt2));
    }
  }

  static constexpr double kLow = -6, kHigh = 6;

  struct Value {
    double value, slope;
  };
  /// For t < kHigh; the value is negligible beyond.
  Value at(double t) const {
    const double place = std::max(0.0, (t - kLow) * kPerUnit);
    const int i = std::min(static_cast<int>(place), kSteps - 1);
    const double step = values_[i + 1] - values_[i];
    return {values_[i] + step * (place - i), step * kPerUnit};
  }

 private:
  static constexpr int kPerUnit = 64;
  static constexpr int kSteps = 12 * kPerUnit;
  std::array<double, kSteps + 1> values_{};
};

// Expected maximum of the multinomial rows of ranks whose mean rows are mean * ratio[r], ratios
// falling. The rows are taken as independent Poisson variables: that they add up to a fixed number
// lowers their variance to m (1 - p) but also drives them apart, and for n equal ranks the two
// cancel exactly (deviation sqrt(m (1 - 1/n)) times sqrt(1 + 1/(n - 1))). X^(2/3) of a Poisson
// variable of mean m is normal to good accuracy, with mean m^(2/3) - m^(-1/3)/9 and deviation 2/3
// m^(1/6) (Anscombe). So -ln F(x) of the maximum is the sum of -ln Phi(t_r(x)), which is inverted
// at the three Gauss-Legendre nodes of F and averaged. Colder ranks are taken together in growing
// bunches of nearly equal ratio, so that 288 ranks cost what 40 do.
class ExpectedMaximum {
 public:
  explicit ExpectedMaximum(std::span<const double> ratios) {
    std::size_t size = 1;
    for (std::size_t first = 0; first < ratios.size(); first += size) {
      size = std::min(std::max<std::size_t>(1, first / 8), ratios.size() - first);
      const auto bunch = ratios.subspan(first, size);
      const double count = static_cast<double>(size);
      const double ratio = std::max(std::accumulate(bunch.begin(), bunch.end(), 0.0) / count, 1e-9);
      const double sixth = std::cbrt(std::sqrt(ratio));
      ranks_.push_back({.count = count,
                        .fourth = std::pow(sixth, 4),
                        .inverse_square = 1 / (sixth * sixth),
                        .scale = 1.5 / sixth});
    }
    now_.resize(ranks_.size());
  }

  /// For means that rise by factors of two from call to call (the last answer starts the search).
  double at(double mean, const LogTail& tail) {
    const double sixth = std::cbrt(std::sqrt(mean));
    for (std::size_t r = 0; r < ranks_.size(); ++r) {
      now_[r] = {.count = ranks_[r].count,
                 .centre = std::pow(sixth, 4) * ranks_[r].fourth -
                           ranks_[r].inverse_square / (9 * sixth * sixth),
                 .scale = ranks_[r].scale / sixth};
    }
    double expected = 0;
    for (Node& node : nodes_) {
      const double start = node.x > 0 ? node.x * std::cbrt(4.0) : now_[0].centre;
      node.x = invert(node.target, std::max(start, now_[0].centre), tail);
      expected += node.weight * std::pow(std::max(node.x, 0.0), 1.5);
    }
    return expected;
  }

 private:
  struct Rank {
    double count, fourth, inverse_square;  // ranks alike, their ratio^(4/6) and ratio^(-2/6)
    double scale;                          // 1 / deviation at mean 1
  };
  struct Normal {
    double count, centre, scale;
  };
  struct Node {
    double target, weight;  // -ln F at the node; Gauss-Legendre weight
    double x;               // the last solution, to the power 2/3
  };
  static constexpr double kOuter = 0.11270166537925831;  // (1 - sqrt(3/5)) / 2

  // Newton on ln(sum), which is nearly straight in the upper tail.
  double invert(double target, double x, const LogTail& tail) const {
    for (int step = 0; step < 30; ++step) {
      double value = 0, slope = 0;
      for (const Normal& rank : now_) {
        const double t = (x - rank.centre) * rank.scale;
        if (t >= LogTail::kHigh) break;  // the rest is colder
        const auto [v, dv] = tail.at(t);
        value += rank.count * v;
        slope += rank.count * rank.scale * dv;
      }
      if (value <= 0) {  // beyond every rank: back towards the hottest
        x = now_[0].centre + 0.5 * (x - now_[0].centre);
        continue;
      }
      const double move = value * std::log(target / value) / slope;
      x += move;
      if (std::abs(move) * now_[0].scale < 5e-3) break;  // the next move would be its square
    }
    return x;
  }

  std::vector<Rank> ranks_;
  std::vector<Normal> now_;
  std::array<Node, 3> nodes_{{{-std::log(kOuter), 5.0 / 18, 0},
                              {-std::log(0.5), 8.0 / 18, 0},
                              {-std::log(1 - kOuter), 5.0 / 18, 0}}};
};

SlotMap place_experts(const ExpertLayout& layout, Placement placement,
                      const LayerPopularity& popularity, double shared_load) {
  return placement == Placement::kEplb
             ? place_eplb(popularity.placed, layout.rooms(shared_load))
             : place_contiguous(static_cast<int>(popularity.served.size()), layout.routed_slots);
}

// Draws that are not repeated in `tokens` tokens of a sequence, any two of which have the same draw
// with probability c: token i of an urn is a new one with probability (1 - c) / (1 - c + i c)
// (Hoppe, 1984; Ewens' sampling formula). One is a draw, two are 2 - c.
double new_draws(double tokens, double c) {
  constexpr int kSummed = 16;  // beyond, the sum is its integral
  const auto is_new = [&](double i) { return i == 0 ? 1 : (1 - c) / (1 - c + i * c); };
  double sum = 0;
  for (int i = 0; i < kSummed && i < tokens; ++i) sum += std::min(1.0, tokens - i) * is_new(i);
  if (tokens <= kSummed) return sum;
  const double left = tokens - kSummed, step = c / (1 - c + (kSummed - 0.5) * c);
  return sum + is_new(kSummed - 0.5) * (step > 0 ? std::log1p(step * left) / step : left);
}

/// Whether the ranks' loads are given, not drawn.
bool has_imposed_load(const ExpertOptions& options) {
  return options.balancedness > 0 || options.placement == Placement::kBalanced;
}

}  // namespace

ExpertLoad::ExpertLoad(const Architecture& architecture, const ExpertLayout& layout,
                       const ExpertOptions& options, Phase phase, std::uint64_t seed,
                       const PopularityParameters& popularity)
    : layout_(layout),
      is_drawn_(!has_imposed_load(options)),
      correlation_(is_drawn_ ? popularity.sequence_correlation : 0) {
  const int layers = architecture.moe_layers() + architecture.mtp_layers;
  rows_per_token_ = architecture.experts_per_token + architecture.shared_experts;
  routed_per_token_ = architecture.experts_per_token;
  const bool shared_travels = layout.shared_copies > 0 && !layout.shared_stays();
  copies_ = shared_travels ? rows_per_token_ : routed_per_token_;
  shared_rows_per_token_ =
      layout.shared_copies == 0
          ? 0.0
          : static_cast<double>(architecture.shared_experts) / layout.shared_copies;
  routed_mean_per_token_ =
      static_cast<double>(architecture.experts_per_token) / layout.routed_ranks;
  layers_.resize(layers);
  if (layers == 0) return;  // all layers dense

  if (!is_drawn_) {
    share_evenly(options.balancedness > 0 ? 1 / options.balancedness : 1);
    return;
  }
  const PopularityShape shape{.layers = layers,
                              .experts = architecture.routed_experts,
                              .groups = std::max(1, architecture.expert_groups)};
  const auto drawn =
      draw_popularity(popularity.law(phase), phase, shape, options.skew, options.staleness, seed);
  const LogTail tail;
  const auto spread_of = [&](std::span<const double> shares) {
    std::vector<double> ratios(shares.begin(), shares.end());
    for (double& ratio : ratios) ratio *= layout.routed_ranks;
    std::sort(ratios.begin(), ratios.end(), std::greater<>());
    const double sum = std::accumulate(ratios.begin(), ratios.end(), 0.0);
    Spread spread{sum / static_cast<double>(ratios.size()), ratios.front(), {}};
    ExpectedMaximum maximum(ratios);
    for (int i = 0; i <= Octave::kCount; ++i) {
      const double mean = std::ldexp(1.0, Octave::kFirst + i);
      spread.noise[i] = (maximum.at(mean, tail) - mean * spread.peak) / std::sqrt(mean);
    }
    return spread;
  };
  const std::vector<int> slots_by_rank = layout.slots_by_rank();
  const auto first_routed = static_cast<std::size_t>(layout.first_routed_rank());
  std::vector<std::vector<double>> by_slot;
  for (int l = 0; l < layers; ++l) {
    Layer& layer = layers_[l];
    const std::vector<double>& placed = drawn[l].placed;
    const double shared_load = std::accumulate(placed.begin(), placed.end(), 0.0) *
                               shared_rows_per_token_ / routed_per_token_;
    const SlotMap& slots =
        placements_.emplace_back(place_experts(layout, options.placement, drawn[l], shared_load));
    by_slot.push_back(slot_shares(slots, drawn[l].served));
    layer.shares = rank_shares(slots, drawn[l].served, slots_by_rank);
    layer.routed = spread_of(std::span(layer.shares).subspan(first_routed));
    if (layout.shared_slots == 0) continue;
    layer.dedicated = spread_of(std::span(layer.shares).first(first_routed));
  }
  active_ = std::make_shared<const ActiveTable>(layout, std::move(by_slot));
}

/// Ranks of a kind get the same, but for the first routed one, which gets `peak` times the mean of
/// its kind; dedicated ones what they lack of the mean, where they have slots.
void ExpertLoad::share_evenly(double peak) {
  const int dedicated = layout_.first_routed_rank();
  const double lacking = std::max(0.0, mean_rows(1) - shared_rows_per_token_) / routed_per_token_;
  const double beside = layout_.shared_slots > 0 ? lacking : 0;
  const double routed = (1 - beside * dedicated) / layout_.routed_ranks;
  const double ranks = layout_.routed_ranks, most = std::min(peak, ranks);
  for (Layer& layer : layers_) {
    layer.shares.assign(static_cast<std::size_t>(layout_.ranks), routed);
    if (most > 1) {
      std::ranges::fill(layer.shares, routed * (ranks - most) / (ranks - 1));
      layer.shares[static_cast<std::size_t>(dedicated)] = routed * most;
    }
    std::fill_n(layer.shares.begin(), dedicated, beside);
    layer.routed.share = 1 - beside * dedicated;
    layer.routed.peak = most * layer.routed.share;
    layer.dedicated.share = layer.dedicated.peak = beside * layout_.routed_ranks;
  }
  std::vector<double> by_slot;
  const std::vector<int> slots_by_rank = layout_.slots_by_rank();
  for (std::size_t rank = 0; rank < slots_by_rank.size(); ++rank) {
    const int slots = slots_by_rank[rank];
    if (slots > 0) by_slot.insert(by_slot.end(), slots, layers_[0].shares[rank] / slots);
  }
  active_ =
      std::make_shared<const ActiveTable>(layout_, std::vector<std::vector<double>>(1, by_slot));
}

namespace {

/// What an expert load is a function of.
struct LoadKey {
  Architecture architecture;
  ExpertLayout layout;
  ExpertOptions options;
  Phase phase;
  PopularityParameters popularity;
  bool operator==(const LoadKey&) const = default;
};
constexpr std::size_t kKeptLoads = 4;  // two scenarios of two roles; 0.4 MB each

}  // namespace

std::shared_ptr<const ExpertLoad> make_expert_load(const Architecture& architecture,
                                                   const ModelOptions& options, Phase phase,
                                                   int ranks) {
  ExpertOptions experts = options.experts;
  experts.staleness =
      phase == Phase::kDecode ? options.decode.staleness : options.prefill.staleness;
  ExpertLayout layout = derive_layout(architecture, ranks, experts);
  layout.computes_only = phase == Phase::kDecode && options.decode.is_disaggregated();
  static Kept<LoadKey, const ExpertLoad> kept(kKeptLoads);
  return kept.get({architecture, layout, experts, phase, options.popularity}, [&] {
    return std::make_shared<const ExpertLoad>(architecture, layout, experts, phase, experts.seed,
                                              options.popularity);
  });
}

std::vector<std::vector<double>> ExpertLoad::received_shares() const {
  std::vector<std::vector<double>> by_layer;
  for (const Layer& layer : layers_) {
    std::vector<double>& shares = by_layer.emplace_back(layer.shares);
    for (double& share : shares) share *= routed_per_token_ / copies_;
    const int hosts = layout_.shared_stays() ? 0 : layout_.shared_copies;  // the first ranks
    for (int rank = 0; rank < hosts; ++rank) {
      shares[static_cast<std::size_t>(rank)] += shared_rows_per_token_ / copies_;
    }
  }
  return by_layer;
}

double ExpertLoad::balancedness() const {
  double share = 0, peak = 0;
  for (const Layer& layer : layers_) {
    share += layer.routed.share;
    peak += layer.routed.peak;
  }
  return peak > 0 ? share / peak : 1;
}

double ExpertLoad::draw_size(double sequence_tokens) const {
  return 1 + std::max(0.0, sequence_tokens - 1) * correlation_;
}

/// Without a logarithm: the bits of a double count in just that way.
Octave Octave::of(double mean) {
  double at = static_cast<double>(std::bit_cast<std::int64_t>(mean)) * 0x1p-52 - (1023 + kFirst);
  at = std::clamp(at, 0.0, static_cast<double>(kCount));
  const int index = std::min(static_cast<int>(at), kCount - 1);
  return {index, at - index};
}

double ExpertLoad::most_rows(const Spread& spread, double tokens, double draw, int slots) const {
  const double all = tokens * routed_mean_per_token_, mean = all / draw;
  const double least = all * spread.share;
  // A rank gets at most so many rows of a token.
  const double most = tokens * std::min<double>(routed_per_token_, slots);
  const Octave octave = Octave::of(mean);
  const auto low = static_cast<std::size_t>(octave.index);
  const double noise = octave.between(spread.noise[low], spread.noise[low + 1]);
  return std::clamp(draw * (mean * spread.peak + noise * std::sqrt(mean)), least,
                    std::max(least, most));
}

double ExpertLoad::straggler_rows(int layer, double tokens, double sequence_tokens) const {
  if (!(tokens > 0)) return 0;
  const Layer& of = layers_[layer];
  const double draw = draw_size(sequence_tokens);
  const double routed = most_rows(of.routed, tokens, draw, layout_.most_slots());
  const double shared = tokens * shared_rows_per_token_;
  if (layout_.shared_hosting != SharedHosting::kDedicatedRanks) return routed + shared;
  const int beside = layout_.most_shared_slots();
  const double replicas = beside > 0 ? most_rows(of.dedicated, tokens, draw, beside) : 0;
  return std::max(routed, shared + replicas);
}

ActiveExperts ExpertLoad::active_experts(double tokens, double sequence_tokens) const {
  if (!(tokens > 0) || layers_.empty()) return {};
  const double sequence = std::max(1.0, sequence_tokens);
  const double draws = tokens * new_draws(sequence, correlation_) / sequence;
  return active_->at(draws * routed_mean_per_token_);
}

}  // namespace cmsim::model
