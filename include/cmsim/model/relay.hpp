// Exchanges in two levels: a token is sent once to each domain of the machine that has an expert of
// its, to the rank there that has the sender's place, and forwarded inside; what comes back is
// summed inside first. Both the two-level exchange of decode and that of prefill are made of it.
//
// A domain is a node; of a machine whose scale-up plane ends before the group of ranks does, what
// that plane joins (NVLink's nodes of eight, a supernode).
#pragma once

#include <cstdint>
#include <vector>

#include "cmsim/coll/exchange_network.hpp"
#include "cmsim/hw/platform.hpp"
#include "cmsim/model/architecture.hpp"

namespace cmsim::model {

/// Domains that a token goes to, its own among them, when its experts may be in any of `domains`
/// alike, which hold the routing groups one after the other. Expected value; the copies of a token
/// spread evenly over the groups that it chooses.
double expected_domains(const Architecture& architecture, double copies, int domains);

/// Whether the scale-up plane joins all of these dies.
bool scale_up_joins(const hw::Platform& platform, const std::vector<std::int32_t>& dies);

class Relay {
 public:
  Relay(const hw::Platform& platform, const coll::ExchangeNetwork& network,
        const std::vector<std::int32_t>& dies, const Architecture& architecture);

  int domains() const { return domains_; }
  /// Of a token that goes to `copies` experts: rows to other domains; rows that the relays forward
  /// to another package; rows on both levels, what stays in a package among them.
  double remote(double copies) const;
  double forwarded(double copies) const { return copies * forward_share_; }
  double moved(double copies) const { return remote(copies) + copies; }
  /// Time on the wire for each byte of a row: of tokens between the domains, of rows inside them.
  Seconds between(double mean_tokens, double tokens, double copies) const;
  Seconds inside(double mean_rows, double busiest_rows) const;
  /// What each byte of moved() puts on the ports when the ranks are these dies, whose places are
  /// alike.
  coll::PortLoads loads(const coll::ExchangeNetwork& network, const std::vector<std::int32_t>& dies,
                        double copies) const;

 private:
  using Subgroups = coll::ExchangeNetwork::Subgroups;
  Subgroups by_domain(const std::vector<std::int32_t>& dies) const;
  /// Rows of a token spread evenly over all ranks of a place, of which remote() go to others.
  double with_own(double copies) const {
    return domains_ > 1 ? remote(copies) / (1 - kept_by_place_) : 0;
  }

  hw::Platform platform_;
  Architecture architecture_;
  int nodes_of_domain_;
  int domains_ = 1;
  double kept_by_place_ = 1;  // of rows that are spread over the ranks of a place
  double forward_share_ = 0;  // of forwarded rows, what leaves the relay's package
  coll::ExchangeCost inside_, between_;
};

}  // namespace cmsim::model
