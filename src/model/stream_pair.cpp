#include "stream_pair.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace cmsim::model {
namespace {

/// Position of a stream: which operator runs, and how much of its time alone is left.
struct Cursor {
  std::span<const OperatorCost> operators;
  std::vector<Seconds>& durations;
  BytesPerSecond bandwidth;
  std::size_t index = 0;
  Seconds left = 0;

  void load() {
    if (!done()) left = operators[index].alone(bandwidth);
  }
  bool done() const { return index == operators.size(); }
  BytesPerSecond demand() const {
    if (done() || left <= 0) return 0;
    const Seconds alone = operators[index].alone(bandwidth);
    return alone > 0 ? operators[index].hbm_bytes / alone : 0;
  }
  /// When the running operator ends at that speed, from now on.
  Seconds ends_in(double speed) const {
    return done() ? std::numeric_limits<Seconds>::infinity() : left / speed;
  }
  void advance(Seconds elapsed, double speed) {
    if (done()) return;
    const bool ends = ends_in(speed) <= elapsed;  // whatever rounding leaves of it
    durations[index] += elapsed;
    left -= elapsed * speed;
    if (ends || left <= 1e-12) {
      ++index;
      load();
    }
  }
};

}  // namespace

StreamPair share_bandwidth(std::span<const OperatorCost> first,
                           std::span<const OperatorCost> second, BytesPerSecond bandwidth) {
  for (const auto operators : {first, second}) {
    for (const OperatorCost& cost : operators) check_cost(cost, bandwidth);
  }
  StreamPair pair{std::vector<Seconds>(first.size()), std::vector<Seconds>(second.size())};
  std::array<Cursor, 2> cursors{Cursor{first, pair.first, bandwidth},
                                Cursor{second, pair.second, bandwidth}};
  for (Cursor& cursor : cursors) cursor.load();
  while (!cursors[0].done() || !cursors[1].done()) {  // each pass ends an operator
    const std::array<double, 2> demand{cursors[0].demand(), cursors[1].demand()};
    std::array<double, 2> speed{1, 1};
    if (demand[0] + demand[1] > bandwidth) {
      for (int i : {0, 1}) {
        const double granted = std::max(bandwidth / 2, bandwidth - demand[1 - i]);
        speed[i] = std::min(1.0, granted / demand[i]);
      }
    }
    const Seconds step = std::min(cursors[0].ends_in(speed[0]), cursors[1].ends_in(speed[1]));
    for (int i : {0, 1}) cursors[i].advance(step, speed[i]);
  }
  return pair;
}

}  // namespace cmsim::model
