// What a costly pure function gave for the last few of its arguments. Processes that are forked
// from one that has called it find the answers made.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

namespace cmsim {

template <class Key, class Value>
class Kept {
 public:
  /// Of so many arguments; the one that came first makes room for another.
  explicit Kept(std::size_t most) : most_(most) {}

  /// `make` gives what is not there.
  template <class Make>
  std::shared_ptr<Value> get(const Key& key, const Make& make) {
    const auto known = std::ranges::find(entries_, key, &Entry::key);
    if (known != entries_.end()) return known->value;
    Entry entry{key, make()};
    if (entries_.size() == most_) entries_.pop_front();
    return entries_.emplace_back(std::move(entry)).value;
  }

 private:
  struct Entry {
    Key key;
    std::shared_ptr<Value> value;
  };
  std::size_t most_;
  std::deque<Entry> entries_;
};

}  // namespace cmsim
