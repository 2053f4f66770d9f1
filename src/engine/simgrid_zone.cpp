#include "simgrid_zone.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <simgrid/kernel/resource/NetworkModelIntf.hpp>
#include <simgrid/kernel/routing/NetPoint.hpp>
#include <stdexcept>
#include <unordered_set>

namespace cmsim::engine {

namespace sg = simgrid::s4u;
namespace kernel = simgrid::kernel;

namespace {

constexpr double kRawLatency =
    1e-6;  // of a route of weight 1; any value does, if all have the same

}  // namespace

SimGridZone::SimGridZone(const coll::Fabric& fabric, std::span<const coll::Plane> planes)
    : NetZoneImpl("supernode"), fabric_(fabric) {
  sg::NetZone* zone = get_iface();
  const auto add_host = [zone](const std::string& name) {
    return zone->create_host(name, 1.0)->seal();
  };
  for (int i = 0; i < fabric.platform().dies(); ++i) {
    dies_.push_back(add_host(hw::to_string(hw::die(i))));
  }
  for (int i = 0; i < fabric.platform().cpus(); ++i) {
    cpus_.push_back(add_host(hw::to_string(hw::cpu(i))));
  }
  switches_ = add_host("switches");
  more_switches_ = add_host("more_switches");
  links_.resize(fabric.ports().size());
  for (std::size_t i = 0; i < links_.size(); ++i) {
    const coll::Port& port = fabric.ports()[i];
    capacities_.push_back(port.capacity);
    const coll::Plane plane = fabric.classes()[port.cls].plane;
    if (!port.in_paths || std::ranges::find(planes, plane) == planes.end()) continue;
    const std::string name = link_name(static_cast<coll::PortId>(i));
    sg::Link* link = zone->create_link(name, port.capacity)->seal();
    links_[i] = {link, link->get_impl()};
  }
  zone->seal();
  install_factors();
}

/// Fabric's name without spaces. Two ports of a fabric that a file lists may have one name; SimGrid
/// would end the program over it.
std::string SimGridZone::link_name(coll::PortId port) const {
  std::string name = fabric_.name_of(port);
  std::ranges::replace(name, ' ', '.');
  while (get_link_by_name_or_null(name) != nullptr) name += fmt::format(".{}", port);
  return name;
}

sg::Host* SimGridZone::host(hw::Endpoint endpoint) const {
  const auto& hosts = endpoint.kind == hw::EndpointKind::kDie ? dies_ : cpus_;
  return hosts[static_cast<std::size_t>(endpoint.index)];
}

FlowEnds SimGridZone::ends_of(coll::PortId id) const {
  const coll::Port& port = fabric_.ports()[static_cast<std::size_t>(id)];
  sg::Host* owner = more_switches_;
  if (port.kind == coll::Port::Owner::kDie) owner = host(hw::die(port.owner));
  if (port.kind == coll::Port::Owner::kCpu) owner = host(hw::cpu(port.owner));
  if (port.direction == coll::Direction::kOut) return {owner, switches_};
  return {switches_, owner};
}

void SimGridZone::set_capacities(std::span<const BytesPerSecond> capacities) {
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (capacities[i] == capacities_[i]) continue;
    capacities_[i] = capacities[i];
    sg::Link* link = links_[i].link;
    if (link == nullptr) continue;
    if (capacities[i] <= 0) {
      link->turn_off();
    } else {
      link->turn_on();
      link->set_bandwidth(capacities[i]);
    }
  }
}

bool SimGridZone::has_links(std::span<const coll::PortId> ports) const {
  return std::ranges::all_of(ports, [this](coll::PortId id) {
    return links_[static_cast<std::size_t>(id)].link != nullptr;
  });
}

bool SimGridZone::carries(std::span<const coll::PortId> ports) const {
  return std::ranges::none_of(
      ports, [this](coll::PortId id) { return capacities_[static_cast<std::size_t>(id)] <= 0; });
}

int SimGridZone::die_of(const sg::Host* host) const {
  return static_cast<int>(host->get_netpoint()->id());
}

coll::Path SimGridZone::pair_path(int from, int to) const {
  return fabric_.path(hw::die(from), hw::die(to), pair_routes_.plane, pair_routes_.op);
}

void SimGridZone::install_factors() {
  kernel::resource::NetworkModelIntf* model = get_iface()->get_network_model();
  model_ = dynamic_cast<kernel::resource::Model*>(model);
  if (model_ == nullptr) throw std::logic_error("SimGrid's network model is not a Model");
  using Links = std::vector<sg::Link*>;
  using Zones = std::unordered_set<sg::NetZone*>;
  model->set_lat_factor_cb(
      [this](double, const sg::Host*, const sg::Host*, const Links&, const Zones&) {
        if (route_ == nullptr) return pair_routes_.latency / kRawLatency;
        return route_->latency * route_->weight / kRawLatency;
      });
  model->set_bw_factor_cb(
      [this](double, const sg::Host* from, const sg::Host* to, const Links&, const Zones&) {
        if (route_ != nullptr) return route_->bandwidth_factor;
        const coll::Path path = pair_path(die_of(from), die_of(to));
        return path.efficiency * path.stripes() * pair_routes_.scale;
      });
}

void SimGridZone::get_local_route(const kernel::routing::NetPoint* from,
                                  const kernel::routing::NetPoint* to,
                                  kernel::routing::Route* route, double* latency) {
  const auto add = [&](std::span<const coll::PortId> ports) {
    for (const coll::PortId id : ports) {
      auto* link = links_[static_cast<std::size_t>(id)].impl;
      if (link == nullptr) throw std::logic_error("a flow over a plane that has no links");
      route->link_list_.push_back(link);
    }
  };
  if (route_ != nullptr) {
    add(route_->ports);
    *latency += kRawLatency / route_->weight;
  } else {
    add(pair_path(static_cast<int>(from->id()), static_cast<int>(to->id())).ports);
    *latency += kRawLatency;
  }
  // A route without links would have infinite bandwidth.
  if (route->link_list_.empty()) throw std::logic_error("a flow without ports reached SimGrid");
}

}  // namespace cmsim::engine
