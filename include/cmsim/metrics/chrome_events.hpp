// The text of a Chrome trace (JSON), which Perfetto and chrome://tracing open: processes, their
// threads, and on each thread complete events ("ph": "X"), in microseconds to the nanosecond.
//
// Slices of a thread must nest or lie apart, and an outer one be added before those within it:
// whoever adds them sees to that.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cmsim/base/units.hpp"

namespace cmsim::metrics {

std::int64_t nanoseconds(Seconds seconds);

struct ChromeThread {
  int process = 1, thread = 1;
};

class ChromeEvents {
 public:
  void name_process(int process, const std::string& name);
  /// Threads of a process are shown in the order of their numbers.
  void name_thread(ChromeThread where, const std::string& name);
  void slice(ChromeThread where, const std::string& name, std::int64_t begin_ns,
             std::int64_t end_ns, const nlohmann::ordered_json& arguments);
  /// What has no length: on a thread, or over all of them.
  void instant(ChromeThread where, const std::string& name, std::int64_t at_ns,
               const nlohmann::ordered_json& arguments);
  void instant_of_all(const std::string& name, std::int64_t at_ns);

  std::string text() const;

 private:
  void add(const nlohmann::ordered_json& event);
  std::string events_;
};

}  // namespace cmsim::metrics
