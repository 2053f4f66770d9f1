#include "figure_parts.hpp"

#include <algorithm>

namespace cmsim::check {
namespace {

using nlohmann::json;

/// Where the figures of the measurement window of a run lie.
const std::string kWindow = "/window";

json at(const json& from, const std::string& pointer) {
  const json::json_pointer place(pointer);
  return from.contains(place) ? from.at(place) : json();
}

std::string text_at(const json& from, const char* key) {
  const json value = at(from, std::string("/") + key);
  return value.is_string() ? value.get<std::string>() : "";
}

void add(PartGroup& group, const std::string& name, const json& value) {
  if (!value.is_number()) return;
  const auto found =
      std::ranges::find_if(group.parts, [&](const auto& p) { return p.first == name; });
  if (found == group.parts.end()) {
    group.parts.emplace_back(name, value.get<double>());
  } else {
    found->second += value.get<double>();  // the same operator at two places
  }
}

/// The members of an object: each a number, or an object with the number at `key`.
PartGroup members(std::string name, const json& object, const std::string& key = "") {
  PartGroup group{std::move(name), {}};
  if (!object.is_object()) return group;
  for (const auto& [member, value] : object.items()) {
    add(group, member, key.empty() ? value : at(value, "/" + key));
  }
  return group;
}

PartGroup operators(std::string name, const json& breakdown, const std::string& key) {
  PartGroup group{std::move(name), {}};
  for (const json& op : at(breakdown, "/operators")) add(group, text_at(op, "name"), at(op, key));
  return group;
}

/// Where the time of a role's step goes.
void add_step(std::vector<PartGroup>& groups, const std::string& role, const json& breakdown) {
  PartGroup path = members(role + std::string(kCriticalPath), at(breakdown, "/critical_path_us"));
  // What the path leaves out of the duration.
  add(path, "host", at(breakdown, "/parts_us/host"));
  groups.push_back(std::move(path));
  groups.push_back(operators(role + std::string(kAlone), breakdown, "/alone_us"));
  groups.push_back(operators(role + std::string(kInPlace), breakdown, "/duration_us"));
}

PartGroup links(const json& list) {
  PartGroup group{std::string(kLinks), {}};
  for (const json& link : list) {
    const std::string port = text_at(link, "name");  // of a collective: one port, not a class
    add(group, port.empty() ? text_at(link, "class") + " " + text_at(link, "direction") : port,
        at(link, "/utilisation"));
  }
  return group;
}

PartGroup load(const json& result) {
  PartGroup group{std::string(kLoad), {}};
  for (const std::string role : {"prefill", "decode"}) {
    const json figures = at(result, kWindow + "/" + role);
    for (const std::string key : {"utilisation", "occupancy", "mean_sequences", "mean_tokens"}) {
      add(group, role + " " + key, at(figures, "/" + key));
    }
  }
  add(group, "KV space reserved", at(result, kWindow + "/kv/mean_occupancy"));
  add(group, "cache hit rate", at(result, "/cache/hit_rate_by_token"));
  return group;
}

/// latency = startup + max(issue, wire) + local: the shorter of the two is no part of it.
PartGroup collective_parts(const json& parts) {
  PartGroup group = members(std::string(kParts), parts);
  const json issue = at(parts, "/issue_us"), wire = at(parts, "/wire_us");
  if (!issue.is_number() || !wire.is_number()) return group;
  const std::string hidden = issue.get<double>() < wire.get<double>() ? "issue_us" : "wire_us";
  std::erase_if(group.parts, [&](const auto& part) { return part.first == hidden; });
  return group;
}

PartGroup p2p_parts(const json& result) {
  const double time = result.at("time_us").get<double>();
  const json latency = at(result, "/latency_us");
  PartGroup group{std::string(kParts), {}};
  add(group, "latency", latency);
  if (latency.is_number()) add(group, "payload", time - latency.get<double>());
  return group;
}

}  // namespace

std::vector<PartGroup> groups_of(const json& result, Kind kind) {
  std::vector<PartGroup> groups;
  switch (kind) {
    case Kind::kRun:
      add_step(groups, "decode", at(result, "/breakdown/decode"));
      add_step(groups, "prefill", at(result, "/breakdown/prefill"));
      groups.push_back(members(std::string(kPhases), at(result, kWindow + "/phases"), "mean_ms"));
      groups.push_back(links(at(result, kWindow + "/links")));
      groups.push_back(members(std::string(kQueues), at(result, kWindow + "/queues"), "mean"));
      groups.push_back(
          members(std::string(kTransfers), at(result, kWindow + "/transfers"), "mean_ms"));
      groups.push_back(load(result));
      break;
    case Kind::kStep:
      add_step(groups, text_at(result, "phase"), result);
      break;
    case Kind::kCollective:
      groups.push_back(collective_parts(result.at("parts")));
      groups.push_back(links(at(result, "/busiest_links")));
      break;
    case Kind::kP2p:
      groups.push_back(p2p_parts(result));
      break;
  }
  std::erase_if(groups, [](const PartGroup& group) { return group.parts.empty(); });
  return groups;
}

}  // namespace cmsim::check
