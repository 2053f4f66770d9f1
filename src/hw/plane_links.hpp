// The links of one plane by the vertex they leave, for searches that read them many times.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

class PlaneLinks {
 public:
  PlaneLinks(const Topology& topology, Plane plane);

  std::size_t vertices() const { return first_.size() - 1; }
  std::size_t links() const { return ends_.size(); }
  std::span<const VertexId> from(VertexId vertex) const {
    return std::span(ends_).subspan(first_[vertex], first_[vertex + 1] - first_[vertex]);
  }
  bool is_switch(VertexId vertex) const { return kinds_[vertex] == VertexKind::kSwitch; }
  /// Whether what arrives goes further.
  bool passes_on(VertexId vertex) const { return kinds_[vertex] != VertexKind::kCpu; }

 private:
  std::vector<std::uint32_t> first_;
  std::vector<VertexId> ends_;
  std::vector<VertexKind> kinds_;
};

/// A search in breadth from one vertex.
struct Reach {
  std::vector<std::int32_t> hops;     // -1: out of reach
  std::vector<std::int32_t> between;  // of them, least number from switch to switch
  std::vector<double> ways;
  std::vector<VertexId> order;  // what is in reach, by distance

  void search(const PlaneLinks& links, VertexId from);
};

}  // namespace cmsim::hw
