// Routes beyond the shortest ones, as a platform file asks for them ("routes"): the ways that one
// flow is divided over evenly. Coordinates and groups are those of the builders; see
// docs/fabrics.md.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

/// Ways between two vertices, both of them included.
class Ways {
 public:
  std::size_t count() const { return ends_.size(); }
  std::span<const VertexId> way(std::size_t i) const {
    const std::uint32_t first = i == 0 ? 0 : ends_[i - 1];
    return std::span(vertices_).subspan(first, ends_[i] - first);
  }
  void clear() {
    vertices_.clear();
    ends_.clear();
  }
  void add(VertexId vertex) { vertices_.push_back(vertex); }
  /// The vertices since the last way are one more.
  void close() { ends_.push_back(static_cast<std::uint32_t>(vertices_.size())); }

 private:
  std::vector<VertexId> vertices_;
  std::vector<std::uint32_t> ends_;
};

class NonMinimalRoutes {
 public:
  virtual ~NonMinimalRoutes() = default;
  /// In place of what `ways` had; none where the flow takes the shortest ways. Under faults, those
  /// over which an even flow alone is fastest: none of a lost link, nor of one so narrow that it
  /// would hold up the others.
  virtual void find(VertexId from, VertexId to, Ways& ways) const = 0;
};

/// Null where all flows of the plane take the shortest ways.
std::unique_ptr<NonMinimalRoutes> nonminimal_routes(const Platform& platform,
                                                    const Topology& topology, Plane plane);

}  // namespace cmsim::hw
