// What the graph of a platform is like: how much of what there is, how far its dies are from each
// other, how many ways join them, and where more comes in than goes out.
//
// A hop is one link. Ways are the shortest by the weights of their links (Link::weight) over one
// plane, each link on its own, or those of hw::NonMinimalRoutes; CPUs pass nothing on. Bandwidths
// are bytes/s of one direction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cmsim/hw/platform.hpp"
#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

struct ClassSummary {
  LinkClass cls = 0;
  std::string name;
  Plane plane = Plane::kUb;
  std::int64_t links = 0;  // directed
  BytesPerSecond least = 0, most = 0;
  BytesPerSecond capacity = 0;  // of all links of one direction together
};

/// The classes that have links.
std::vector<ClassSummary> summarise_classes(const Topology& topology);

/// The switches of one tier of a plane and what is joined to them.
struct TierSummary {
  Plane plane = Plane::kUb;
  int tier = 0;
  int switches = 0;
  // What enters those that lead further up, from below, and what leaves them upwards.
  BytesPerSecond from_dies = 0, from_cpus = 0, from_switches = 0;
  BytesPerSecond up = 0;
  BytesPerSecond across = 0;  // between switches of this tier, one way

  /// nullopt where nothing leads further up.
  std::optional<double> oversubscription() const;
  std::optional<double> oversubscription_with_cpus() const;
};

std::vector<TierSummary> summarise_tiers(const Topology& topology);

/// The plane of a switch or card: that of its links. Dies and CPUs, which are on several, and what
/// has no link: kUb.
std::vector<Plane> planes_of_switches(const Topology& topology);

/// Logical L2 switches of two chips that a Clos of this many nodes needs, as P Table 11 counts
/// them.
struct SwitchPlan {
  int per_plane = 0;  // of one supernode
  int total = 0;
  double port_utilisation = 0;
};

/// nullopt where the scale-up plane is no Clos.
std::optional<SwitchPlan> plan_switches(const Platform& platform);

/// Between pairs of different dies, over one plane.
struct PlaneShape {
  int sources = 0;    // dies from which hops were counted
  bool exact = true;  // all of them; else the diameter is a lower bound and means are estimates
  double joined = 0;  // share of the pairs that the plane joins; the rest is about those
  int diameter = 0;
  double mean_hops = 0;
  int diameter_of_switches = 0;  // hops from switch to switch alone
  double least_ways = 0, mean_ways = 0;
};

inline constexpr int kMostExactSources = 2000;

/// From every die up to `most_sources` of them, else from a sample, the same for the same machine.
PlaneShape shape_of(const Platform& platform, const Topology& topology, Plane plane,
                    int most_sources = kMostExactSources);

/// Of the shortest and the longest way; -1 where there is none.
struct Hops {
  int least = -1, most = -1;
};
/// From a vertex to every other over the plane.
std::vector<Hops> hops_from(const Platform& platform, const Topology& topology, Plane plane,
                            VertexId from);

}  // namespace cmsim::hw
