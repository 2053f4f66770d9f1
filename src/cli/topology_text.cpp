#include <fmt/format.h>

#include <sstream>

#include "terminal.hpp"
#include "text_table.hpp"
#include "topology_report.hpp"

namespace cmsim::cli {
namespace {

constexpr std::size_t kWidest = 80;

/// Names that users chose may be long.
std::string lines_within(const std::string& text, std::size_t most) {
  std::istringstream stream(text);
  std::string narrow;
  for (std::string line; std::getline(stream, line);) narrow += elided(line, most) + "\n";
  return narrow;
}

/// A sentence, which begins a line.
std::string sentence(const std::string& text) {
  constexpr std::size_t kIndent = 2;
  return wrapped_within(kWidest, text, kIndent) + "\n";
}

std::string from_to(int least, int most) {
  return least == most ? fmt::format("{}", most) : fmt::format("{}-{}", least, most);
}

std::string speed(BytesPerSecond value) { return format_quantity(value, Dimension::kBandwidth); }

std::string ratio(const std::optional<double>& value) {
  return value ? fmt::format("{:.3f}", *value) : "-";
}

void add_links(std::string& text, const TopologyReport& report) {
  text += fmt::format("\n{:<18}{:<6}{:>11}{:>9}{:>18}{:>16}\n", "links", "plane", "directed",
                      "ports", "each", "one way");
  for (const LinkReport& link : report.links) {
    const hw::ClassSummary& s = link.summary;
    text += fmt::format(
        "{:<18.17}{:<6}{:>11}{:>9}{:>18}{:>16}\n", s.name, hw::to_string(s.plane), grouped(s.links),
        grouped(link.ports),
        s.least == s.most ? speed(s.most) : fmt::format("{:.4g}-{}", giga(s.least), speed(s.most)),
        speed(s.capacity));
  }
}

/// "$1.3 to $1.69", "up to $21,354", "from $5".
std::string dollars(const std::optional<double>& least, const std::optional<double>& most,
                    double times) {
  const auto one = [&](double value) { return "$" + figure(value * times); };
  if (least && most) {
    return *least == *most ? one(*least) : one(*least) + " to " + one(*most);
  }
  return least ? "from " + one(*least) : "up to " + one(*most);
}

/// Where the platform file knows them, at what it says of an NPU.
void add_costs(std::string& text, const hw::Platform& platform) {
  const hw::CostSpec& costs = platform.costs;
  std::string rows;
  const auto add = [&](const char* name, const std::string& an_npu, const std::string& all) {
    rows += fmt::format("{:<26}{:>22}{:>28}\n", name, an_npu, all);
  };
  const double npus = platform.npus();
  const auto add_range = [&](const char* name, const auto& least, const auto& most) {
    if (least || most) add(name, dollars(least, most, 1), dollars(least, most, npus));
  };
  const auto add_power = [&](const char* name, const std::optional<double>& watts) {
    if (watts) add(name, figure(*watts) + " W", figure(*watts * npus / 1e3) + " kW");
  };
  add_power("power, all-in", costs.power_w);
  add_power("power of the network", costs.network_power_w);
  if (costs.network_price_usd) {
    add_range("price of the network", costs.network_price_usd, costs.network_price_usd);
  }
  add_range("price", costs.price_least_usd, costs.price_most_usd);
  add_range("an hour of use", costs.hour_least_usd, costs.hour_most_usd);
  if (costs.optics) add("optical modules", figure(*costs.optics), figure(*costs.optics * npus));
  if (rows.empty()) return;
  text += fmt::format("\n{:<26}{:>22}{:>28}\n", "costs", "an NPU", "the machine") + rows;
}

void add_tiers(std::string& text, const TopologyReport& report) {
  text += fmt::format("\n{:<18}{:>9}{:>14}{:>14}{:>12}{:>12}\n", "switches", "number", "from below",
                      "upwards", "over-sub.", "with CPUs");
  for (const hw::TierSummary& tier : report.tiers) {
    const bool leads_up = tier.up > 0;
    text += fmt::format("{:<18}{:>9}{:>14}{:>14}{:>12}{:>12}\n",
                        fmt::format("{} tier {}", hw::to_string(tier.plane), tier.tier),
                        grouped(tier.switches),
                        leads_up ? speed(tier.from_dies + tier.from_switches) : "-",
                        leads_up ? speed(tier.up) : "-", ratio(tier.oversubscription()),
                        leads_up ? ratio(tier.oversubscription_with_cpus()) : "-");
  }
  if (report.plan) {
    text += fmt::format("as logical L2 switches of two chips: {}, with {} of their ports in use\n",
                        grouped(report.plan->total), percent(report.plan->port_utilisation));
  }
}

void add_planes(std::string& text, const hw::Platform& platform, const TopologyReport& report) {
  text += fmt::format("\n{:<18}{:>9}{:>10}{:>8}{:>8}{:>10}{:>15}\n", "between dies", "most hops",
                      "switches", "mean", "ways", "mean", "bisection");
  for (const PlaneReport& plane : report.planes) {
    const hw::PlaneShape& shape = plane.shape;
    if (shape.joined <= 0) {
      text += fmt::format("{:<18}joins no two dies\n", hw::to_string(plane.plane));
      continue;
    }
    text += fmt::format("{:<18}{:>9}{:>10}{:>8.3f}{:>8}{:>10.1f}{:>15}\n",
                        hw::to_string(plane.plane), shape.diameter, shape.diameter_of_switches,
                        shape.mean_hops, figure(shape.least_ways), shape.mean_ways,
                        plane.bisection ? speed(plane.bisection->bandwidth) : "-");
  }
  for (const PlaneReport& plane : report.planes) {
    const hw::PlaneShape& shape = plane.shape;
    if (shape.joined > 0 && shape.joined < 1) {
      const bool in_units = plane.bisection && plane.bisection->nodes < platform.nodes;
      text += fmt::format(
          "{} joins {} of the pairs of dies{}\n", hw::to_string(plane.plane), percent(shape.joined),
          in_units ? fmt::format(", {} nodes at a time", grouped(plane.bisection->nodes)) : "");
    }
    const bool by_number = !plane.bisection || plane.bisection->halves == hw::kByNumber;
    if (shape.joined > 0 && !by_number) {
      text += fmt::format("{}: its bisection is between halves by {}\n", hw::to_string(plane.plane),
                          plane.bisection->halves);
    }
    if (!shape.exact) {
      text += fmt::format("{}: from {} sampled dies; the diameter is at least this\n",
                          hw::to_string(plane.plane), grouped(shape.sources));
    }
  }
}

void add_distances(std::string& text, const TopologyReport& report) {
  text += fmt::format("\n{:<28}{:<6}{:>7}{:>10}{:>8}{:>10}{:>9}\n", "latency at 512 B", "plane",
                      "hops", "read us", "write", "eff. read", "write");
  for (const DistanceReport& distance : report.distances) {
    text +=
        fmt::format("{:<28}{:<6}{:>7}{:>10.2f}{:>8.2f}{:>10}{:>9}\n", distance.name,
                    hw::to_string(distance.plane), from_to(distance.least_hops, distance.most_hops),
                    micro(distance.read.latency), micro(distance.write.latency),
                    percent(distance.read.efficiency), percent(distance.write.efficiency));
  }
}

std::string relief_text(const TrafficReport& traffic) {
  const coll::Relief& relief = *traffic.relief;
  std::string text = sentence(fmt::format(
      "bound by {}, busy {} of the time at {}", relief.bound_by,
      percent(traffic.classes.front().busiest_busy / traffic.duration), traffic.busiest.front()));
  for (const coll::Relief::Step& step : relief.steps) {
    const bool is_first = &step == &relief.steps.front();
    text += sentence(fmt::format("{} x the bandwidth of {}{}: {:.3g} x faster, then {} binds",
                                 coll::kWidening, step.cls, is_first ? "" : " too", step.speedup,
                                 step.next));
  }
  if (relief.enough > 0) {
    text += sentence(fmt::format("beyond {:.3g} x the bandwidth of {} alone {} binds",
                                 relief.enough, relief.steps.front().cls, relief.then_by));
  }
  return text;
}

void add_traffic(std::string& text, const TrafficReport& traffic) {
  text += "\n" + sentence(traffic.description);
  text += fmt::format("{} us alone on the wire, {} us of it latency\n",
                      figure(micro(traffic.duration)), figure(micro(traffic.latency)));
  if (traffic.classes.empty()) {
    text += "no link carries anything\n";
    return;
  }
  text += fmt::format("{:<22}{:>8}{:>11}{:>11}{:>9}{:>9}{:>9}\n", "load", "ports", "mean MB",
                      "busiest", "mean us", "busiest", "share");
  for (const coll::ClassLoad& load : traffic.classes) {
    text +=
        fmt::format("{:<22.21}{:>8}{:>11}{:>11}{:>9}{:>9}{:>9}\n", load.name, grouped(load.ports),
                    figure(load.mean_bytes / 1e6), figure(load.busiest_bytes / 1e6),
                    figure(micro(load.mean_busy)), figure(micro(load.busiest_busy)),
                    percent(load.busiest_busy / traffic.duration));
  }
  text += relief_text(traffic);
}

}  // namespace

std::string to_text(const hw::Platform& platform, const TopologyReport& report) {
  const auto some = [](int count, const char* one) {
    return fmt::format("{} {}{}", grouped(count), one, count == 1 ? "" : "s");
  };
  std::string text = fmt::format(
      "{}\n{}, {}, {}, {}, {}, {}\n", platform.name, some(platform.npus(), "NPU"),
      some(platform.dies(), "die"), some(platform.cpus(), "CPU"), some(platform.nodes, "node"),
      some(report.racks, "rack"), some(platform.supernodes, "supernode"));
  add_links(text, report);
  add_tiers(text, report);
  add_planes(text, platform, report);
  add_distances(text, report);
  add_costs(text, platform);
  if (report.traffic) add_traffic(text, *report.traffic);
  return lines_within(text, kWidest);
}

}  // namespace cmsim::cli
