#include "cmsim/serve/ssd_volumes.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace cmsim::serve {

void SsdVolumes::read(std::int32_t volume, std::int32_t dram, Bytes bytes,
                      coll::Runtime::Callback done) {
  const SsdSpec& ssd = state_.config.deployment.cache.ssd;
  move({hw::cpu(dram), hw::cpu(volume), bytes, ssd.plane, coll::Op::kRead}, TransferKind::kSsdRead,
       volume_at(volume).reads_until, ssd.read_bandwidth, std::move(done));
}

void SsdVolumes::write(std::int32_t volume, std::int32_t dram, Bytes bytes,
                       coll::Runtime::Callback done) {
  const SsdSpec& ssd = state_.config.deployment.cache.ssd;
  move({hw::cpu(dram), hw::cpu(volume), bytes, ssd.plane, coll::Op::kWrite},
       TransferKind::kSsdWrite, volume_at(volume).writes_until, ssd.write_bandwidth,
       std::move(done));
}

void SsdVolumes::move(const coll::Transfer& transfer, TransferKind kind, Seconds& served_until,
                      BytesPerSecond bandwidth, coll::Runtime::Callback done) {
  const Seconds latency = state_.config.deployment.cache.ssd.latency;
  const Seconds begin = std::max(state_.now(), served_until);
  served_until = begin + static_cast<double>(transfer.bytes) / bandwidth;
  const auto half_done = [left = std::make_shared<int>(2), done = std::move(done)] {
    if (--*left == 0) done();
  };
  state_.runtime.schedule_at(
      begin + latency, coll::Priority::kTransferDone,
      [this, transfer, kind, half_done] { state_.transfer(transfer, kind, half_done); });
  state_.runtime.schedule_at(served_until + latency, coll::Priority::kTransferDone, half_done);
}

}  // namespace cmsim::serve
