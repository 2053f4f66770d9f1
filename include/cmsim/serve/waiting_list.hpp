// A queue of requests that a policy sees as one span: cheap at both ends, erasable in the middle.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "cmsim/serve/policy.hpp"

namespace cmsim::serve {

class WaitingList {
 public:
  bool empty() const { return head_ == items_.size(); }
  std::size_t size() const { return items_.size() - head_; }
  std::span<const RequestView> view() const { return std::span(items_).subspan(head_); }
  const RequestView& operator[](std::size_t index) const { return items_[head_ + index]; }

  void push_back(const RequestView& request) { items_.push_back(request); }

  void erase(std::size_t index) {
    if (index == 0) {
      ++head_;
    } else {
      items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(head_ + index));
    }
    if (head_ > 64 && head_ > items_.size() / 2) {  // amortised O(1)
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
  }

 private:
  std::vector<RequestView> items_;
  std::size_t head_ = 0;
};

}  // namespace cmsim::serve
