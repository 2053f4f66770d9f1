// How a shared object offers policies, and how it is told whether it was built for this cmsim.
//
// The two share views, interfaces and the registry in memory, so they must agree on the layout of
// each. PolicyAbi::layout is a hash of what the compiler sees of them: of every slot in Slots its
// name and every field of its view and decision with its place and type, every virtual function
// they reach, the standard types in between, kInterface and cmsim's version. A changed header gives
// another hash without anybody's help. Included by policy.hpp, at its end. Invariant: PolicyAbi
// itself and the two function names never change.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "cmsim/base/version.hpp"
#include "cmsim/serve/policy.hpp"

/// Defines what cmsim looks for in a plugin; the function body that follows registers its policies:
///   CMSIM_POLICY_PLUGIN(registry) { registry.add<Mine>({.name = "mine", .description = "..."}); }
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

/// Of the meaning of what plugins see; counts up when that changes and the layout does not.
inline constexpr std::uint64_t kInterface = 3;

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

/// Calls `use` with every field of `of`, in order.
template <class T, class Use>
void for_each_field(const T& of, const Use& use) {
  const auto each = [&use](const auto&... field) { (use(field), ...); };
  constexpr std::size_t kFields = field_count<T>();
  static_assert(kFields >= 1 && kFields <= 12, "one more line below, then");
  if constexpr (kFields == 1) {
    const auto& [a] = of;
    each(a);
  } else if constexpr (kFields == 2) {
    const auto& [a, b] = of;
    each(a, b);
  } else if constexpr (kFields == 3) {
    const auto& [a, b, c] = of;
    each(a, b, c);
  } else if constexpr (kFields == 4) {
    const auto& [a, b, c, d] = of;
    each(a, b, c, d);
  } else if constexpr (kFields == 5) {
    const auto& [a, b, c, d, e] = of;
    each(a, b, c, d, e);
  } else if constexpr (kFields == 6) {
    const auto& [a, b, c, d, e, f] = of;
    each(a, b, c, d, e, f);
  } else if constexpr (kFields == 7) {
    const auto& [a, b, c, d, e, f, g] = of;
    each(a, b, c, d, e, f, g);
  } else if constexpr (kFields == 8) {
    const auto& [a, b, c, d, e, f, g, h] = of;
    each(a, b, c, d, e, f, g, h);
  } else if constexpr (kFields == 9) {
    const auto& [a, b, c, d, e, f, g, h, i] = of;
    each(a, b, c, d, e, f, g, h, i);
  } else if constexpr (kFields == 10) {
    const auto& [a, b, c, d, e, f, g, h, i, j] = of;
    each(a, b, c, d, e, f, g, h, i, j);
  } else if constexpr (kFields == 11) {
    const auto& [a, b, c, d, e, f, g, h, i, j, k] = of;
    each(a, b, c, d, e, f, g, h, i, j, k);
  } else {
    const auto& [a, b, c, d, e, f, g, h, i, j, k, l] = of;
    each(a, b, c, d, e, f, g, h, i, j, k, l);
  }
}

/// An interface with one more virtual function, whose place tells how many there are before it.
template <class Interface>
struct OneMore : Interface {
  virtual void one_more() {}
};

/// What a container that a view has holds.
template <class T>
struct Held {};
template <class T>
struct Held<std::span<T>> {
  using Type = std::remove_const_t<T>;
};
template <class T>
struct Held<std::optional<T>> {
  using Type = T;
};
template <class T>
struct Held<std::vector<T>> {
  using Type = T;
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
  /// Size, alignment and sort of a type, and of what it consists of and leads to.
  template <class T>
  void add_type() {
    if constexpr (std::is_pointer_v<T>) {
      add_type<std::remove_const_t<std::remove_pointer_t<T>>>();
    } else if constexpr (std::is_polymorphic_v<T>) {
      add_interface<T>();
    } else {
      add_shape<T>();
      if constexpr (requires { typename Held<T>::Type; }) {
        add_type<typename Held<T>::Type>();
      } else if constexpr (std::is_class_v<T> && std::is_aggregate_v<T>) {
        const T of{};
        for_each_field(of, [&]<class Field>(const Field& field) {
          add(static_cast<std::uint64_t>(reinterpret_cast<const char*>(&field) -
                                         reinterpret_cast<const char*>(&of)));
          add_type<Field>();
        });
      }
    }
  }
  /// How many virtual functions it has.
  template <class Interface>
  void add_interface() {
    add_shape<Interface>();
    for (const auto part :
         std::bit_cast<std::array<std::ptrdiff_t, 2>>(&OneMore<Interface>::one_more)) {
      add(static_cast<std::uint64_t>(part));
    }
  }
  template <class... Slot>
  void add_slots(SlotList<Slot...>) {
    (add_slot<Slot>(), ...);
  }

 private:
  static constexpr std::uint64_t kPrime = 1099511628211U;

  template <class T>
  void add_shape() {
    add(sizeof(T));
    add(alignof(T));
    add((std::is_floating_point_v<T> ? 1U : 0U) + (std::is_unsigned_v<T> ? 2U : 0U) +
        (std::is_class_v<T> ? 4U : 0U));
  }
  template <class Slot>
  void add_slot() {
    add(std::string_view(Slot::kName));
    add_type<typename Slot::View>();
    add_type<typename Slot::Decision>();
    add_interface<Policy<Slot>>();
  }

  std::uint64_t hash_ = 14695981039346656037U;
};

inline constexpr const char* kBuiltFor = kVersion;

/// Of the headers this is compiled with.
inline PolicyAbi current() {
  Layout layout;
  layout.add(std::string_view(kBuiltFor));
  layout.add(kInterface);
  layout.add_slots(Slots());
  layout.add_type<PolicyContext>();
  layout.add_type<PolicyInfo>();
  layout.add_type<OutputEstimates>();
  layout.add_type<PolicyRegistry>();
  layout.add_type<PolicyFactory<DecodeRouting>>();
  return {kBuiltFor, layout.hash()};
}

}  // namespace abi
#pragma GCC visibility pop
}  // namespace cmsim::serve
