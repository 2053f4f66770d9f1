#include "cmsim/hw/endpoint.hpp"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

namespace cmsim::hw {

Endpoint parse_endpoint(std::string_view text) {
  const auto fail = [&] {
    throw std::invalid_argument(
        fmt::format("\"{}\" is not an endpoint, expected e.g. \"die:17\" or \"cpu:3\"", text));
  };
  std::string_view rest = text;
  Endpoint endpoint;
  if (rest.starts_with("die")) {
    rest.remove_prefix(3);
  } else if (rest.starts_with("cpu")) {
    endpoint.kind = EndpointKind::kCpu;
    rest.remove_prefix(3);
  }
  if (rest.size() != text.size() && rest.starts_with(':')) rest.remove_prefix(1);
  const char* end = rest.data() + rest.size();
  const auto [stop, error] = std::from_chars(rest.data(), end, endpoint.index);
  if (rest.empty() || error != std::errc() || stop != end || endpoint.index < 0) fail();
  return endpoint;
}

bool is_endpoint_name(std::string_view name) {
  return name.starts_with("die:") || name.starts_with("cpu:");
}

std::string to_string(Endpoint endpoint) {
  return (endpoint.kind == EndpointKind::kDie ? "die:" : "cpu:") + std::to_string(endpoint.index);
}

}  // namespace cmsim::hw
