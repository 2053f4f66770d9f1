#include "due_requests.hpp"

#include <algorithm>
#include <limits>

namespace cmsim::serve {

DueRequests::DueRequests(const work::Trace& trace) : trace_(trace) {
  if (!trace.waits.empty()) {
    first_waiting_.assign(trace.rows.size(), kNoRequest);
    next_waiting_.assign(trace.rows.size(), kNoRequest);
  }
  for (std::size_t row = 0; row < trace.waits.size(); ++row) {
    if (!waits(row)) continue;
    const auto after = static_cast<std::size_t>(trace.waits[row].after);
    require(after < row, "a request waits for an earlier one");
    next_waiting_[row] = first_waiting_[after];
    first_waiting_[after] = static_cast<RequestIndex>(row);
  }
  skip_waiting();
}

void DueRequests::skip_waiting() {
  while (next_open_ < trace_.rows.size() && waits(next_open_)) ++next_open_;
}

Seconds DueRequests::next_date() const {
  const Seconds open = next_open_ < trace_.rows.size() ? trace_.rows[next_open_].arrival
                                                       : std::numeric_limits<Seconds>::infinity();
  return thought_.empty() ? open : std::min(open, thought_.top().at);
}

DueRequests::Due DueRequests::take() {
  ++taken_;
  if (next_open_ < trace_.rows.size()) {
    const Due open{static_cast<RequestIndex>(next_open_), trace_.rows[next_open_].arrival};
    if (thought_.empty() || Later()(thought_.top(), open)) {
      ++next_open_;
      skip_waiting();
      return open;
    }
  }
  const Due due = thought_.top();
  thought_.pop();
  return due;
}

void DueRequests::ended(RequestIndex index, Seconds now) {
  if (first_waiting_.empty()) return;
  RequestIndex row = first_waiting_[static_cast<std::size_t>(index)];
  for (; row != kNoRequest; row = next_waiting_[static_cast<std::size_t>(row)]) {
    thought_.push({row, now + trace_.waits[static_cast<std::size_t>(row)].think});
  }
}

}  // namespace cmsim::serve
