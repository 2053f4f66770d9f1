#include "cmsim/metrics/records.hpp"

#include <algorithm>
#include <numeric>

namespace cmsim::metrics {
namespace {

using serve::RequestRecord;

constexpr Seconds kAsSent = -2;

/// Positions by rising id. Those of a whole run are the numbers from 0, each once.
template <class IdOf>
std::vector<std::uint32_t> order_by_id(std::size_t size, const IdOf& id_of) {
  constexpr std::uint32_t kNobody = UINT32_MAX;
  std::vector<std::uint32_t> order(size, kNobody);
  for (std::size_t i = 0; i < size; ++i) {
    const auto id = static_cast<std::size_t>(id_of(i));
    if (id >= size || order[id] != kNobody) {
      std::iota(order.begin(), order.end(), 0U);
      std::ranges::stable_sort(order, {}, id_of);
      return order;
    }
    order[id] = static_cast<std::uint32_t>(i);
  }
  return order;
}

}  // namespace

Records::Records(std::initializer_list<RequestRecord> records) {
  for (const RequestRecord& record : records) push_back(record);
}

Records::Records(const std::vector<RequestRecord>& records) {
  for (const RequestRecord& record : records) push_back(record);
}

void Records::push_back(const RequestRecord& record) {
  const auto add = [&]<auto Member>(Column<Member> & column) {
    column.push_back(record.*Member, size_, expected_);
  };
  std::apply([&](auto&... columns) { (add(columns), ...); }, columns_);
  arrival_.push_back(record.arrival == record.sent ? kAsSent : record.arrival, size_, expected_);
  ++size_;
}

void Records::sort_by_id() {
  const auto& ids = std::get<Column<&R::id>>(columns_);
  const std::vector<std::uint32_t> order =
      order_by_id(size_, [&](std::size_t at) { return ids[at]; });
  if (std::ranges::is_sorted(order)) return;
  std::apply([&](auto&... columns) { (columns.reorder(order), ...); }, columns_);
  arrival_.reorder(order);
}

void Records::write(std::size_t first, bool at_first, std::span<R> into) const {
  std::apply([&](const auto&... columns) { (columns.write(first, at_first, into), ...); },
             columns_);
  for (std::size_t i = 0; i < into.size(); ++i) {
    const Seconds arrival = arrival_[first + i];
    into[i].arrival = arrival == kAsSent ? into[i].sent : arrival;
  }
}

RequestRecord Records::operator[](std::size_t at) const {
  RequestRecord record;
  write(at, true, std::span(&record, 1));
  return record;
}

void Records::Iterator::read(bool at_first) {
  if (at_ >= records_->size()) return;
  records_->write(at_, at_first, std::span(block_).first(std::min(kBlock, records_->size() - at_)));
}

}  // namespace cmsim::metrics
