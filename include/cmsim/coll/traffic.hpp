// Who sends how much to whom in a collective exchange over dies, and builders for the usual ones.
//
// Bytes are payload and may be fractional (an expected load). A die's bytes to itself stay in its
// HBM and load no link. Not a schedule: all pairs are in flight at once, and the exchange ends with
// the last byte, as the fused operators of P §4.2 do.
#pragma once

#include <span>
#include <vector>

#include "cmsim/coll/runtime.hpp"
#include "cmsim/hw/platform.hpp"

namespace cmsim::coll {

/// Bytes from dies[i] to dies[j] are send[i] * receive[j]. Dispatch, combine, all-gather and
/// all-to-all under any expert popularity have this form, and its port loads cost O(dies).
struct ProductTraffic {
  std::vector<std::int32_t> dies;
  std::vector<double> send;
  std::vector<double> receive;
  Op op = Op::kWrite;
  Plane plane = Plane::kUb;
};

/// Any exchange, pair by pair, e.g. one draw of a finite batch.
struct PairTraffic {
  struct Pair {
    std::int32_t from = 0;
    std::int32_t to = 0;
    double bytes = 0;
  };
  std::vector<Pair> pairs;
  Op op = Op::kWrite;
  Plane plane = Plane::kUb;
};

/// Bytes between any two endpoints, from where the data is.
struct EndpointTraffic {
  struct Pair {
    hw::Endpoint from, to;
    double bytes = 0;
  };
  std::vector<Pair> pairs;
  Op op = Op::kRead;
  Plane plane = Plane::kUb;
};

/// Every rank sends `bytes_per_pair` to every other rank.
ProductTraffic all_to_all(std::vector<std::int32_t> dies, double bytes_per_pair);

/// Every rank sends its shard to every other rank (direct algorithm).
ProductTraffic all_gather(std::vector<std::int32_t> dies, double shard_bytes);

/// Token dispatch: each rank has `tokens` tokens, each sent to `top_k` experts in messages of
/// `message_bytes`; rank j gets the fraction `share[j]` of them (sum 1; empty = equal shares).
ProductTraffic dispatch(std::vector<std::int32_t> dies, double tokens, int top_k,
                        double message_bytes, std::vector<double> share = {});

/// Token combine: the way back of dispatch.
ProductTraffic combine(std::vector<std::int32_t> dies, double tokens, int top_k,
                       double message_bytes, std::vector<double> share = {});

/// All pairs of different dies, in order of (i, j), pairs without bytes left out.
PairTraffic expand(const ProductTraffic& traffic);

}  // namespace cmsim::coll
