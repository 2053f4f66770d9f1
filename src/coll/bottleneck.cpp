#include "cmsim/coll/bottleneck.hpp"

#include <algorithm>
#include <set>

namespace cmsim::coll {
namespace {

/// Of equals, which rounding makes differ in the last digits, the first is the busiest.
bool is_busier(Seconds a, Seconds b) { return static_cast<float>(a) > static_cast<float>(b); }

}  // namespace

std::vector<ClassLoad> class_loads(const Fabric& fabric, const PortLoads& loads) {
  const auto ports = fabric.ports();
  std::vector<ClassLoad> classes(fabric.classes().size() * 2);
  for (PortId id = 0; id < static_cast<PortId>(ports.size()); ++id) {
    const auto i = static_cast<std::size_t>(id);
    const Port& port = ports[i];
    ClassLoad& load = classes[std::size_t{port.cls} * 2 + static_cast<std::size_t>(port.direction)];
    const Seconds busy = loads.wire_bytes[i] / port.capacity;
    if (load.ports++ == 0) {
      load.cls = port.cls;
      load.direction = port.direction;
      load.cls_name = load.name = fabric.classes()[port.cls].name;
      if (port.peer < 0) load.name += std::string(" ") + to_string(port.direction);
    }
    load.mean_bytes += loads.bytes[i];
    load.mean_busy += busy;
    if (is_busier(busy, load.busiest_busy)) {
      load.busiest = id;
      load.busiest_bytes = loads.bytes[i];
      load.busiest_busy = busy;
    }
  }
  std::erase_if(classes, [](const ClassLoad& load) { return load.busiest_busy <= 0; });
  for (ClassLoad& load : classes) {
    load.mean_bytes /= load.ports;
    load.mean_busy /= load.ports;
  }
  std::stable_sort(classes.begin(), classes.end(), [](const ClassLoad& a, const ClassLoad& b) {
    return is_busier(a.busiest_busy, b.busiest_busy);
  });
  return classes;
}

std::optional<Relief> relief_of(const std::vector<ClassLoad>& classes, Seconds latency) {
  if (classes.empty()) return std::nullopt;
  const ClassLoad& first = classes.front();
  Relief relief;
  relief.bound_by = first.name;
  const auto other = std::find_if(classes.begin(), classes.end(),
                                  [&](const ClassLoad& load) { return load.cls != first.cls; });
  if (other != classes.end()) {
    relief.then_by = other->name;
    relief.enough = first.busiest_busy / other->busiest_busy;
  }
  std::set<LinkClass> widened;
  const auto busy = [&](const ClassLoad& load) {
    return load.busiest_busy / (widened.contains(load.cls) ? kWidening : 1);
  };
  for (const ClassLoad* binding = &first; widened.insert(binding->cls).second;) {
    Relief::Step step;
    step.cls = binding->cls_name;
    binding = &*std::max_element(
        classes.begin(), classes.end(),
        [&](const ClassLoad& a, const ClassLoad& b) { return is_busier(busy(b), busy(a)); });
    step.speedup = (latency + first.busiest_busy) / (latency + busy(*binding));
    step.next = binding->name;
    relief.steps.push_back(std::move(step));
  }
  return relief;
}

}  // namespace cmsim::coll
