#include "cmsim/metrics/breakdown_json.hpp"

#include <nlohmann/json.hpp>

namespace cmsim::metrics {
namespace {

using Json = nlohmann::ordered_json;

double us(Seconds seconds) { return seconds * 1e6; }

Json by_name(const std::vector<std::pair<std::string, Seconds>>& times) {
  Json json = Json::object();
  for (const auto& [name, seconds] : times) json[name] = us(seconds);
  return json;
}

Json operators_json(const std::vector<model::OperatorTime>& operators) {
  Json json = Json::array();
  for (const model::OperatorTime& op : operators) {
    json.push_back({{"name", op.name},
                    {"track", op.track},
                    {"alone_us", us(op.alone)},
                    {"duration_us", us(op.duration)},
                    {"hbm_bytes", op.hbm_bytes}});
  }
  return json;
}

Json loss(Seconds lost, Seconds duration) {
  return {{"us", us(lost)}, {"share", duration > 0 ? lost / duration : 0}};
}

}  // namespace

Json to_json(const model::StepBreakdown& b) {
  Json json;
  json["duration_us"] = us(b.duration);
  json["microbatches"] = b.microbatches;
  json["attention_aic"] = b.attention_aic > 0 ? Json(b.attention_aic) : Json(nullptr);
  json["attention_aiv"] = b.attention_aiv > 0 ? Json(b.attention_aiv) : Json(nullptr);
  json["layer_us"] = us(b.layer);
  json["parts_us"] = {{"host", us(b.host)},
                      {"dense_layers", us(b.dense_layers)},
                      {"moe_layers", us(b.moe_layers)},
                      {"head", us(b.head)},
                      {"mtp", us(b.mtp)}};
  json["operators"] = operators_json(b.operators);
  json["streams_us"] = by_name(b.streams);
  json["critical_path_us"] = by_name(b.critical_path);
  json["losses"] = {{"imbalance", loss(b.losses.imbalance, b.duration)},
                    {"communication", loss(b.losses.communication, b.duration)},
                    {"launch", loss(b.losses.launch, b.duration)},
                    {"jitter", loss(b.losses.jitter, b.duration)}};
  return json;
}

}  // namespace cmsim::metrics
