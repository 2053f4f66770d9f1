// How a shared object offers policies, and how it is told whether it was built for this cmsim.
//
// The two share views, interfaces and the registry in memory, so they must agree on the layout of
// each. PolicyAbi::layout is a hash of what the compiler sees of them: every field with its place
// and type, every virtual function with its place in the table, the standard types in between, and
// cmsim's version. A changed header gives another hash without anybody's help. Included by
// policy.hpp, at its end. Invariant: PolicyAbi itself and the two function names never change.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cmsim/base/version.hpp"
#include "cmsim/serve/policy.hpp"

/// Defines what cmsim looks for in a plugin; the function body that follows registers its policies:
///   CMSIM_POLICY_PLUGIN(registry) { registry.register_policy("mine", "...", factory); }
#define CMSIM_POLICY_PLUGIN(registry)                                                      \
  extern "C" [[gnu::visibility("default")]] ::cmsim::serve::PolicyAbi cmsim_policy_abi() { \
    return ::cmsim::serve::abi::current();                                                 \
  }                                                                                        \
  extern "C" [[gnu::visibility("default")]] void cmsim_register_policies(                  \
      ::cmsim::serve::PolicyRegistry& registry)

namespace cmsim::serve {

/// What a shared object was built with.
struct PolicyAbi {
  const char* version;  // of cmsim
  std::uint64_t layout;
};

// Hidden, or the loader would give a plugin the functions of the cmsim that asks it.
#pragma GCC visibility push(hidden)
namespace abi {

/// The fields of a struct that plugins see; a test holds the list complete.
template <class T>
inline constexpr auto kFields = nullptr;
template <>
inline constexpr auto kFields<RequestView> =
    std::tuple(&RequestView::id, &RequestView::prompt_tokens, &RequestView::context_tokens,
               &RequestView::sent, &RequestView::waiting_since, &RequestView::preemptions);
template <>
inline constexpr auto kFields<PrefillInstanceView> =
    std::tuple(&PrefillInstanceView::waiting_requests, &PrefillInstanceView::waiting_tokens,
               &PrefillInstanceView::batched_tokens, &PrefillInstanceView::kv_free);
template <>
inline constexpr auto kFields<PrefillRouterView> = std::tuple(&PrefillRouterView::now,
                                                              &PrefillRouterView::request,
                                                              &PrefillRouterView::instances);
template <>
inline constexpr auto kFields<PrefillBatcherView> = std::tuple(
    &PrefillBatcherView::now, &PrefillBatcherView::instance, &PrefillBatcherView::waiting,
    &PrefillBatcherView::budget, &PrefillBatcherView::budget_left, &PrefillBatcherView::sequences,
    &PrefillBatcherView::kv_free);
template <>
inline constexpr auto kFields<DecodeAdmissionView> =
    std::tuple(&DecodeAdmissionView::now, &DecodeAdmissionView::waiting,
               &DecodeAdmissionView::free_slots, &DecodeAdmissionView::slots,
               &DecodeAdmissionView::kv_free, &DecodeAdmissionView::kv_capacity_per_rank);
template <>
inline constexpr auto kFields<Admission> = std::tuple(&Admission::index, &Admission::headroom);
template <>
inline constexpr auto kFields<DecodeRouterView> =
    std::tuple(&DecodeRouterView::now, &DecodeRouterView::request, &DecodeRouterView::headroom,
               &DecodeRouterView::sequences, &DecodeRouterView::kv_tokens, &DecodeRouterView::slots,
               &DecodeRouterView::kv_capacity_per_rank, &DecodeRouterView::ranks_per_instance);
template <>
inline constexpr auto kFields<PolicyContext> = std::tuple(&PolicyContext::seed);
template <>
inline constexpr auto kFields<PolicyInfo> = std::tuple(&PolicyInfo::kind, &PolicyInfo::name,
                                                       &PolicyInfo::description);

struct Anything {
  template <class T>
  operator T() const;
};

/// How many fields an aggregate has: with how many initialisers it can be made.
template <class T, class... Field>
consteval std::size_t field_count() {
  if constexpr (requires { T{Field{}..., Anything{}}; }) {
    return field_count<T, Field..., Anything>();
  } else {
    return sizeof...(Field);
  }
}

/// An interface with one more virtual function, whose place tells how many there are before it.
template <class Interface>
struct OneMore : Interface {
  virtual void one_more() {}
};

class Layout {  // FNV-1a over numbers
 public:
  std::uint64_t hash() const { return hash_; }

  void add(std::uint64_t number) {
    for (int byte = 0; byte < 8; ++byte, number >>= 8) hash_ = (hash_ ^ (number & 255)) * kPrime;
  }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<unsigned char>(c));
  }
  /// Size, alignment and sort of a type.
  template <class T>
  void add_type() {
    add(sizeof(T));
    add(alignof(T));
    add((std::is_floating_point_v<T> ? 1U : 0U) + (std::is_unsigned_v<T> ? 2U : 0U) +
        (std::is_class_v<T> ? 4U : 0U));
  }
  template <class T>
  void add_fields() {
    add_type<T>();
    add(field_count<T>());
    std::apply([this](auto... field) { (this->add_field(field), ...); }, kFields<T>);
  }
  template <class Interface, class Decision>
  void add_interface(Decision (Interface::*decide)(const typename Interface::View&)) {
    add_fields<typename Interface::View>();
    add_type<Interface>();
    add_type<Decision>();
    add_place(decide);
    add_place(&OneMore<Interface>::one_more);
  }

 private:
  static constexpr std::uint64_t kPrime = 1099511628211U;

  template <class T, class Field>
  void add_field(Field T::*field) {
    add(static_cast<std::uint64_t>(std::bit_cast<std::ptrdiff_t>(field)));  // its offset
    add_type<Field>();
  }
  template <class Function>
  void add_place(Function function) {  // in the table of virtual functions
    for (const auto part : std::bit_cast<std::array<std::ptrdiff_t, 2>>(function)) {
      add(static_cast<std::uint64_t>(part));
    }
  }

  std::uint64_t hash_ = 14695981039346656037U;
};

inline constexpr const char* kBuiltFor = kVersion;

/// Of the headers this is compiled with.
inline PolicyAbi current() {
  Layout layout;
  layout.add(std::string_view(kBuiltFor));
  layout.add_fields<RequestView>();
  layout.add_fields<PrefillInstanceView>();
  layout.add_fields<Admission>();
  layout.add_fields<PolicyContext>();
  layout.add_fields<PolicyInfo>();
  layout.add_interface(&PrefillRouter::route);
  layout.add_interface(&PrefillBatcher::pick);
  layout.add_interface(&DecodeAdmission::admit);
  layout.add_interface(&DecodeRouter::route);
  layout.add_type<PolicyRegistry>();
  layout.add_type<std::string>();
  layout.add_type<std::vector<RequestView>>();
  layout.add_type<std::unique_ptr<DecodeRouter>>();
  layout.add_type<PolicyFactory<DecodeRouter>>();
  return {kBuiltFor, layout.hash()};
}

}  // namespace abi
#pragma GCC visibility pop
}  // namespace cmsim::serve
