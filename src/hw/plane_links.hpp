// The links of one plane by the vertex they leave, for searches that read them many times.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cmsim/hw/topology.hpp"

namespace cmsim::hw {

class PlaneLinks {
 public:
  struct End {
    VertexId vertex = 0;
    std::uint8_t weight = 1;
    BytesPerSecond bandwidth = 0;
  };

  PlaneLinks(const Topology& topology, Plane plane);

  std::size_t vertices() const { return first_.size() - 1; }
  std::size_t links() const { return ends_.size(); }
  std::span<const End> from(VertexId vertex) const {
    return std::span(ends_).subspan(first_[vertex], first_[vertex + 1] - first_[vertex]);
  }
  int heaviest() const { return heaviest_; }
  bool is_switch(VertexId vertex) const { return kinds_[vertex] == VertexKind::kSwitch; }
  /// Whether what arrives goes further.
  bool passes_on(VertexId vertex) const { return kinds_[vertex] != VertexKind::kCpu; }

 private:
  std::vector<std::uint32_t> first_;
  std::vector<End> ends_;
  std::vector<VertexKind> kinds_;
  int heaviest_ = 1;
};

/// The shortest ways from one vertex.
struct Reach {
  struct Found {
    std::int32_t length = -1;           // by the weights of the links; -1: out of reach
    std::int32_t fewest = 0, most = 0;  // links
    std::int32_t between = 0;           // of them, least number from switch to switch
    double ways = 0, links = 0;         // of all ways together
  };
  std::vector<Found> to;        // by vertex
  std::vector<VertexId> order;  // what is in reach, by length

  void search(const PlaneLinks& links, VertexId from);
};

}  // namespace cmsim::hw
