#include "cmsim/metrics/chrome_events.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace cmsim::metrics {
namespace {

using Json = nlohmann::ordered_json;

double microseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

Json metadata(const char* what, ChromeThread where, const Json& arguments) {
  return {{"ph", "M"},
          {"name", what},
          {"pid", where.process},
          {"tid", where.thread},
          {"args", arguments}};
}

}  // namespace

std::int64_t nanoseconds(Seconds seconds) { return std::llround(seconds * 1e9); }

void ChromeEvents::name_process(int process, const std::string& name) {
  add(metadata("process_name", {process, 0}, {{"name", name}}));
}

void ChromeEvents::name_thread(ChromeThread where, const std::string& name) {
  add(metadata("thread_name", where, {{"name", name}}));
  add(metadata("thread_sort_index", where, {{"sort_index", where.thread}}));
}

void ChromeEvents::slice(ChromeThread where, const std::string& name, std::int64_t begin_ns,
                         std::int64_t end_ns, const Json& arguments) {
  add({{"ph", "X"},
       {"name", name},
       {"pid", where.process},
       {"tid", where.thread},
       {"ts", microseconds(begin_ns)},
       {"dur", microseconds(end_ns - begin_ns)},
       {"args", arguments}});
}

void ChromeEvents::instant(ChromeThread where, const std::string& name, std::int64_t at_ns,
                           const Json& arguments) {
  add({{"ph", "i"},
       {"name", name},
       {"pid", where.process},
       {"tid", where.thread},
       {"ts", microseconds(at_ns)},
       {"s", "t"},
       {"args", arguments}});
}

void ChromeEvents::instant_of_all(const std::string& name, std::int64_t at_ns) {
  add({{"ph", "i"},
       {"name", name},
       {"pid", 0},
       {"tid", 0},
       {"ts", microseconds(at_ns)},
       {"s", "g"}});
}

std::string ChromeEvents::text() const {
  return R"({"displayTimeUnit":"ns","traceEvents":[)" + events_ + "]}\n";
}

void ChromeEvents::add(const Json& event) {
  if (!events_.empty()) events_ += ',';
  events_ += event.dump();
}

}  // namespace cmsim::metrics
