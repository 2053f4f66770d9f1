// What a policy is, and the registry that makes one from its name and parameters.
//
// A policy takes a view and returns a decision (policy_slots.hpp has both, slot by slot). It owns
// no clock, does no I/O and keeps state only in its own members. What it throws, or a decision
// outside its domain, ends the run with a SimulationError that names the policy. A shared object
// offers policies through CMSIM_POLICY_PLUGIN (policy_abi.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cmsim/base/units.hpp"
#include "cmsim/serve/policy_slots.hpp"

namespace cmsim::serve {

class AnyPolicy {
 public:
  virtual ~AnyPolicy() = default;
};

/// The interface of a slot's policies.
template <class S>
class Policy : public AnyPolicy {
 public:
  using Slot = S;
  using View = typename S::View;
  using Decision = typename S::Decision;

  virtual Decision decide(const View& view) = 0;
};

// -------------------------------------------------------------------------------------- parameters

/// How a parameter is written: a plain number, a whole one, or a quantity with a unit.
enum class ParameterKind : std::int32_t { kNumber, kInteger, kTime };

struct ParameterInfo {
  std::string name;
  ParameterKind kind = ParameterKind::kNumber;
  std::optional<double> otherwise = {};  // the default; none: the help says what holds then
  double minimum = 0, maximum = 1e9;     // both included, in base units
  std::string unit = {};                 // of a number; a time has its own
  std::string help = {};                 // one line
};

/// Of a policy by name; a parameter that was not given and has no default is absent.
using Parameters = std::map<std::string, double, std::less<>>;

/// A policy that declares a parameter of this name is given OutputEstimates.
inline constexpr const char* kEstimateError = "estimate_error";

/// Estimates of output lengths, each wrong by a lognormal factor of median 1. The parameter
/// `estimate_error` is the deviation of its logarithm; drawn from the stream "serve/estimate/SLOT".
class OutputEstimates {
 public:
  explicit OutputEstimates(std::vector<Tokens> by_row) : by_row_(std::move(by_row)) {}
  Tokens of(const RequestView& request) const {
    return by_row_[static_cast<std::size_t>(request.id)];
  }

 private:
  std::vector<Tokens> by_row_;
};

/// What a factory may use to construct a policy.
struct PolicyContext {
  std::uint64_t seed = 1;  // of the run; name your own RandomStream from it
  Parameters parameters = {};
  std::shared_ptr<const OutputEstimates> estimates = {};  // only where `estimate_error` is declared

  /// Throws std::out_of_range when the policy did not declare it, or it has neither value nor
  /// default.
  double parameter(std::string_view name) const;
  std::optional<double> parameter_if(std::string_view name) const;
};

// -------------------------------------------------------------------------------------- registry

/// The policy of a slot as a scenario names it.
struct PolicyChoice {
  std::string name;
  Parameters parameters = {};  // those that are given
};
/// By slot.
using PolicyChoices = std::map<std::string, PolicyChoice, std::less<>>;
/// The default policy of every slot.
PolicyChoices default_choices();

struct SlotInfo {
  const char* name;       // the scenario key below /policies
  const char* otherwise;  // the policy of a scenario that names none
  const char* question;
  bool (*is_asked)(Role);  // in a run of that role
};
/// In the order of Slots.
const std::vector<SlotInfo>& slots();

struct PolicyInfo {
  std::string name;
  std::string description;  // one line
  std::vector<ParameterInfo> parameters = {};
  std::string source = {};    // where it was published
  std::string stream = {};    // the random stream that it draws from
  std::string formerly = {};  // a name that scenarios may still use
};

template <class Slot>
using PolicyFactory = std::function<std::unique_ptr<Policy<Slot>>(const PolicyContext&)>;

/// A policy and the name it was registered under: whatever goes wrong in it is told with its name.
template <class Slot>
struct NamedPolicy {
  std::string name;
  std::unique_ptr<Policy<Slot>> policy;  // not null

  Policy<Slot>* operator->() const { return policy.get(); }
  Policy<Slot>& operator*() const { return *policy; }
};

/// Names -> factories. A value: code outside the tree adds its own policies to a copy of
/// builtin_policies() before a scenario is loaded. Adding a name twice, a name that is empty or not
/// printable ASCII without spaces, a parameter twice or with a default outside its range, or no
/// factory throws std::invalid_argument.
class PolicyRegistry {
 public:
  /// Registers the class P, made from a PolicyContext where it has such a constructor.
  template <class P>
  void add(PolicyInfo info) {
    using Slot = typename P::Slot;
    add_factory<Slot>(std::move(info), [](const PolicyContext& context) {
      if constexpr (std::is_constructible_v<P, const PolicyContext&>) {
        return std::unique_ptr<Policy<Slot>>(std::make_unique<P>(context));
      } else {
        return std::unique_ptr<Policy<Slot>>(std::make_unique<P>());
      }
    });
  }
  template <class Slot>
  void add_factory(PolicyInfo info, PolicyFactory<Slot> factory) {
    AnyFactory any;
    if (factory) {
      any = [made = std::move(factory)](const PolicyContext& context) {
        return std::unique_ptr<AnyPolicy>(made(context));
      };
    }
    add_entry(Slot::kName, std::move(info), std::move(any));
  }

  /// What was registered for a slot, in order of registration.
  std::vector<PolicyInfo> of(std::string_view slot) const;
  /// Throws ConfigError at /policies/SLOT naming the known ones when `name` is not registered.
  const PolicyInfo& info(std::string_view slot, const std::string& name) const;

  /// Throws ConfigError as info() does, when a parameter is unknown or out of its range, or when
  /// the factory throws one; SimulationError that names the policy when the factory throws anything
  /// else or returns null. Parameters that are not given get their defaults.
  template <class Slot>
  NamedPolicy<Slot> make(const PolicyChoice& choice, PolicyContext context = {}) const {
    std::unique_ptr<AnyPolicy> made = make_any(Slot::kName, choice, std::move(context));
    // Only add_factory<Slot> puts a factory into this slot.
    return {choice.name, std::unique_ptr<Policy<Slot>>(static_cast<Policy<Slot>*>(made.release()))};
  }
  /// The parameters with which it would be made.
  Parameters settled(std::string_view slot, const PolicyChoice& choice) const;

 private:
  using AnyFactory = std::function<std::unique_ptr<AnyPolicy>(const PolicyContext&)>;
  struct Entry {
    std::string slot;
    PolicyInfo info;
    AnyFactory factory;
  };

  void add_entry(const char* slot, PolicyInfo info, AnyFactory factory);
  const Entry& entry(std::string_view slot, const std::string& name) const;
  std::unique_ptr<AnyPolicy> make_any(std::string_view slot, const PolicyChoice& choice,
                                      PolicyContext context) const;

  std::vector<Entry> entries_;
};

/// The policies that come with the simulator.
PolicyRegistry builtin_policies();

class PolicyCall;

template <class List>
struct OnePerSlot;
template <class... Slot>
struct OnePerSlot<SlotList<Slot...>> {
  using Tuple = std::tuple<NamedPolicy<Slot>...>;
};

/// One of each slot, as a Cluster needs them.
struct Policies {
  OnePerSlot<Slots>::Tuple all;
  PolicyCall* call = nullptr;  // told which one is being called; outlives the policies

  template <class Slot>
  NamedPolicy<Slot>& get() {
    return std::get<NamedPolicy<Slot>>(all);
  }
  template <class Slot>
  const NamedPolicy<Slot>& get() const {
    return std::get<NamedPolicy<Slot>>(all);
  }
};

/// Makes what `choices` names, the default of a slot that it leaves out. `output_tokens` gives
/// those of every row of the trace, where a policy wants estimates of them.
Policies make_policies(const PolicyRegistry& registry, const PolicyChoices& choices,
                       std::uint64_t seed,
                       const std::function<std::vector<Tokens>()>& output_tokens = {},
                       PolicyCall* call = nullptr);

}  // namespace cmsim::serve

#include "cmsim/serve/policy_abi.hpp"  // CMSIM_POLICY_PLUGIN, which stands on all of the above
