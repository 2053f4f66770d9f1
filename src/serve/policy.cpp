#include "cmsim/serve/policy.hpp"

#include <algorithm>
#include <stdexcept>

#include "cmsim/base/error.hpp"
#include "cmsim/serve/policy_guard.hpp"

namespace cmsim::serve {

const char* to_string(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kPrefillRouting:
      return "prefill_routing";
    case PolicyKind::kPrefillBatching:
      return "prefill_batching";
    case PolicyKind::kDecodeAdmission:
      return "decode_admission";
    case PolicyKind::kDecodeRouting:
      return "decode_routing";
  }
  return "?";
}

namespace {

template <class Entries>
auto find(const Entries& entries, const std::string& name) {
  return std::find_if(entries.begin(), entries.end(),
                      [&](const auto& entry) { return entry.name == name; });
}

template <class Entries, class Factory>
void add(Entries& entries, PolicyKind kind, const std::string& name, const std::string& description,
         Factory factory) {
  const auto refuse_if = [&](bool wrong, const char* why) {
    if (wrong) throw std::invalid_argument(title(kind, name) + " " + why);
  };
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c <= '~';  // what can stand in a scenario, a command and a message
  });
  refuse_if(name.empty() || !printable, "needs a name of printable characters without spaces");
  refuse_if(find(entries, name) != entries.end(), "is registered twice");
  refuse_if(!factory, "is registered without a factory");
  entries.push_back({name, description, std::move(factory)});
}

template <class Entries>
const auto& get(const Entries& entries, PolicyKind kind, const std::string& name) {
  if (auto it = find(entries, name); it != entries.end()) return *it;
  std::vector<std::string> known;
  std::string listing;
  for (const auto& entry : entries) {
    known.push_back(entry.name);
    listing += (listing.empty() ? "\"" : ", \"") + entry.name + "\"";
  }
  std::string message = "unknown policy \"" + name + "\"; known are " + listing;
  if (const std::string close = closest_match(name, known); !close.empty()) {
    message += "; did you mean \"" + close + "\"?";
  }
  throw ConfigError({"", 0, std::string("/policies/") + to_string(kind)}, message);
}

/// Runs the factory; what goes wrong in it is told with the policy's name.
template <class Policy, class Entries>
NamedPolicy<Policy> make(const Entries& entries, const std::string& name,
                         const PolicyContext& context) {
  const auto& entry = get(entries, Policy::kKind, name);
  const auto complaint = [&](const std::string& what) {
    return title(Policy::kKind, name) + " " + what + " while being made";
  };
  std::unique_ptr<Policy> policy;
  try {
    policy = entry.factory(context);
  } catch (const ConfigError& error) {
    throw ConfigError({"", 0, std::string("/policies/") + to_string(Policy::kKind)},
                      title(Policy::kKind, name) + " cannot be made: " + error.what());
  } catch (...) {
    throw SimulationError(complaint(what_was_thrown()));
  }
  if (!policy) throw SimulationError(complaint("returned a null pointer"));
  return {name, std::move(policy)};
}

template <class Entries>
void append(std::vector<PolicyInfo>& out, PolicyKind kind, const Entries& entries) {
  for (const auto& entry : entries) out.push_back({kind, entry.name, entry.description});
}

}  // namespace

void PolicyRegistry::register_policy(const std::string& name, const std::string& description,
                                     PolicyFactory<PrefillRouter> factory) {
  add(prefill_routers_, PolicyKind::kPrefillRouting, name, description, std::move(factory));
}
void PolicyRegistry::register_policy(const std::string& name, const std::string& description,
                                     PolicyFactory<PrefillBatcher> factory) {
  add(prefill_batchers_, PolicyKind::kPrefillBatching, name, description, std::move(factory));
}
void PolicyRegistry::register_policy(const std::string& name, const std::string& description,
                                     PolicyFactory<DecodeAdmission> factory) {
  add(decode_admissions_, PolicyKind::kDecodeAdmission, name, description, std::move(factory));
}
void PolicyRegistry::register_policy(const std::string& name, const std::string& description,
                                     PolicyFactory<DecodeRouter> factory) {
  add(decode_routers_, PolicyKind::kDecodeRouting, name, description, std::move(factory));
}

void PolicyRegistry::check(PolicyKind kind, const std::string& name) const {
  switch (kind) {
    case PolicyKind::kPrefillRouting:
      get(prefill_routers_, kind, name);
      return;
    case PolicyKind::kPrefillBatching:
      get(prefill_batchers_, kind, name);
      return;
    case PolicyKind::kDecodeAdmission:
      get(decode_admissions_, kind, name);
      return;
    case PolicyKind::kDecodeRouting:
      get(decode_routers_, kind, name);
      return;
  }
}

NamedPolicy<PrefillRouter> PolicyRegistry::make_prefill_router(const std::string& name,
                                                               const PolicyContext& context) const {
  return make<PrefillRouter>(prefill_routers_, name, context);
}
NamedPolicy<PrefillBatcher> PolicyRegistry::make_prefill_batcher(
    const std::string& name, const PolicyContext& context) const {
  return make<PrefillBatcher>(prefill_batchers_, name, context);
}
NamedPolicy<DecodeAdmission> PolicyRegistry::make_decode_admission(
    const std::string& name, const PolicyContext& context) const {
  return make<DecodeAdmission>(decode_admissions_, name, context);
}
NamedPolicy<DecodeRouter> PolicyRegistry::make_decode_router(const std::string& name,
                                                             const PolicyContext& context) const {
  return make<DecodeRouter>(decode_routers_, name, context);
}

std::vector<PolicyInfo> PolicyRegistry::list() const {
  std::vector<PolicyInfo> out;
  append(out, PolicyKind::kPrefillRouting, prefill_routers_);
  append(out, PolicyKind::kPrefillBatching, prefill_batchers_);
  append(out, PolicyKind::kDecodeAdmission, decode_admissions_);
  append(out, PolicyKind::kDecodeRouting, decode_routers_);
  return out;
}

}  // namespace cmsim::serve
