#include "cmsim/serve/kv_swap.hpp"

#include <algorithm>
#include <utility>

namespace cmsim::serve {

Bytes KvSwap::bytes_of(RequestIndex index) const {
  return state_.request(index).context * state_.config.kv_bytes_per_token;
}

Bytes KvSwap::free(std::int32_t cpu) const {
  if (cpu < 0) return 0;
  const auto held = held_.find(cpu);
  return of_cpu_ - (held == held_.end() ? 0 : held->second);
}

void KvSwap::out(RequestIndex index, std::size_t engine, std::int32_t die, std::int32_t cpu,
                 coll::Runtime::Callback done) {
  const Bytes bytes = bytes_of(index);
  require(bytes <= free(cpu), "DRAM holds no more swapped KV than it has room for");
  held_[cpu] += bytes;
  ++state_.totals.swaps;
  copies_.start(
      engine,
      {hw::die(die), hw::cpu(cpu), bytes, state_.config.deployment.swap.plane, coll::Op::kWrite},
      TransferKind::kSwapOut, [this, index, cpu, done = std::move(done)] {
        state_.request(index).swapped_to = cpu;
        done();
      });
}

void KvSwap::in(RequestIndex index, std::size_t engine, std::int32_t die,
                coll::Runtime::Callback done) {
  const std::int32_t cpu = state_.request(index).swapped_to;
  const Bytes bytes = bytes_of(index);
  copies_.start(
      engine,
      {hw::die(die), hw::cpu(cpu), bytes, state_.config.deployment.swap.plane, coll::Op::kRead},
      TransferKind::kSwapIn, [this, index, cpu, bytes, done = std::move(done)] {
        held_[cpu] -= bytes;
        state_.request(index).swapped_to = -1;
        done();
      });
}

void KvSwap::check_empty() const {
  require(std::ranges::all_of(held_, [](const auto& cpu) { return cpu.second == 0; }),
          "no swapped KV is left in DRAM at the end");
}

}  // namespace cmsim::serve
