#include "cmsim/coll/traffic.hpp"

#include <numeric>
#include <utility>

namespace cmsim::coll {
namespace {

std::vector<double> equal_shares_if_empty(std::vector<double> share, std::size_t ranks) {
  if (share.empty()) share.assign(ranks, 1.0 / static_cast<double>(ranks));
  return share;
}

}  // namespace

ProductTraffic all_to_all(std::vector<std::int32_t> dies, double bytes_per_pair) {
  const std::size_t ranks = dies.size();
  return {.dies = std::move(dies),
          .send = std::vector<double>(ranks, bytes_per_pair),
          .receive = std::vector<double>(ranks, 1.0)};
}

ProductTraffic all_gather(std::vector<std::int32_t> dies, double shard_bytes) {
  return all_to_all(std::move(dies), shard_bytes);
}

ProductTraffic dispatch(std::vector<std::int32_t> dies, double tokens, int top_k,
                        double message_bytes, std::vector<double> share) {
  const std::size_t ranks = dies.size();
  return {.dies = std::move(dies),
          .send = std::vector<double>(ranks, tokens * top_k * message_bytes),
          .receive = equal_shares_if_empty(std::move(share), ranks)};
}

ProductTraffic combine(std::vector<std::int32_t> dies, double tokens, int top_k,
                       double message_bytes, std::vector<double> share) {
  ProductTraffic traffic =
      dispatch(std::move(dies), tokens, top_k, message_bytes, std::move(share));
  std::swap(traffic.send, traffic.receive);
  return traffic;
}

PairTraffic expand(const ProductTraffic& traffic) {
  PairTraffic pairs{.pairs = {}, .op = traffic.op, .plane = traffic.plane};
  const std::size_t ranks = traffic.dies.size();
  pairs.pairs.reserve(ranks * ranks);
  for (std::size_t i = 0; i < ranks; ++i) {
    for (std::size_t j = 0; j < ranks; ++j) {
      const double bytes = traffic.send[i] * traffic.receive[j];
      if (i != j && bytes > 0) pairs.pairs.push_back({traffic.dies[i], traffic.dies[j], bytes});
    }
  }
  return pairs;
}

}  // namespace cmsim::coll
