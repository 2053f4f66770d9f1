// What a run has instances for.
#pragma once

namespace cmsim::serve {

/// What a scenario exercises: the whole system, with prefill and decode on instances of their own
/// or (kMixed) on the same, or one role alone in steady state (closed loop).
enum class Role { kAll, kPrefillOnly, kDecodeOnly, kMixed };

constexpr bool has_prefill_instances(Role role) {
  return role == Role::kAll || role == Role::kPrefillOnly;
}
constexpr bool has_decode_instances(Role role) { return role != Role::kPrefillOnly; }
constexpr bool computes_prompts(Role role) { return role != Role::kDecodeOnly; }

}  // namespace cmsim::serve
