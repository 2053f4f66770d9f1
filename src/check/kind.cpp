#include "cmsim/check/kind.hpp"

#include <algorithm>
#include <array>

namespace cmsim::check {
namespace {

constexpr std::array<std::pair<Kind, std::string_view>, 4> kKinds{
    {{Kind::kRun, "run"},
     {Kind::kStep, "step"},
     {Kind::kCollective, "collective"},
     {Kind::kP2p, "p2p"}}};

}  // namespace

std::string to_string(Kind kind) {
  return std::string(std::ranges::find(kKinds, kind, &decltype(kKinds)::value_type::first)->second);
}

std::optional<Kind> kind_named(std::string_view command) {
  const auto found = std::ranges::find(kKinds, command, &decltype(kKinds)::value_type::second);
  return found == kKinds.end() ? std::nullopt : std::optional(found->first);
}

std::string to_string(Better better) {
  return better == Better::kHigher ? "higher" : better == Better::kLower ? "lower" : "both";
}

}  // namespace cmsim::check
