// Which request comes next and when: those of the trace at their arrival, and turns whose user
// thinks after the end of another request.
//
// Whether there is room for it in the system is not asked here. Of requests that are due at the
// same time the first in the trace comes first. Internal to serve/.
#pragma once

#include <queue>
#include <vector>

#include "cmsim/serve/cluster_state.hpp"

namespace cmsim::serve {

class DueRequests {
 public:
  /// The trace must outlive it.
  explicit DueRequests(const work::Trace& trace);

  /// Whether any has still to be taken, be it due or not.
  bool left() const { return taken_ < trace_.rows.size(); }
  /// When the next is due; infinity while all that are left wait for others to end.
  Seconds next_date() const;
  struct Due {
    RequestIndex index = kNoRequest;
    Seconds at = 0;
  };
  /// The next; its date must be finite.
  Due take();
  /// Those that wait for it are due when their users have thought.
  void ended(RequestIndex index, Seconds now);

 private:
  bool waits(std::size_t row) const {
    return !trace_.waits.empty() && trace_.waits[row].after >= 0;
  }
  void skip_waiting();

  struct Later {
    bool operator()(const Due& a, const Due& b) const {
      return a.at != b.at ? a.at > b.at : a.index > b.index;
    }
  };

  const work::Trace& trace_;
  std::size_t next_open_ = 0;  // the next row that waits for no other
  std::size_t taken_ = 0;
  std::priority_queue<Due, std::vector<Due>, Later> thought_;
  // By row: the first of those that wait for it, and the next that waits for the same.
  std::vector<RequestIndex> first_waiting_, next_waiting_;
};

}  // namespace cmsim::serve
