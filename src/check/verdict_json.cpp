#include <fmt/format.h>

#include "cmsim/check/formats.hpp"

namespace cmsim::check {
namespace {

using Json = nlohmann::ordered_json;

/// Calls `use` for each metric that is a number in the new results.
template <class Use>
void for_each_number(const Verdict& verdict, const Use& use) {
  for (const CaseVerdict& made : verdict.cases) {
    for (const MetricVerdict& metric : made.metrics) {
      if (metric.move.now.is_number()) use(made, metric);
    }
  }
}

std::string lines_of(const Json& list) {
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string to_bencher(const Verdict& verdict) {
  Json json = Json::object();
  for_each_number(verdict, [&](const CaseVerdict& made, const MetricVerdict& metric) {
    Json& measure = json[made.name][metric.move.metric.name];
    measure["value"] = metric.move.now;
    if (metric.interval) {
      measure["lower_value"] = metric.interval->lower;
      measure["upper_value"] = metric.interval->upper;
    }
  });
  return lines_of(json);
}

std::string to_benchmark_action(const Verdict& verdict, Better direction) {
  Json json = Json::array();
  for_each_number(verdict, [&](const CaseVerdict& made, const MetricVerdict& metric) {
    if (metric.move.metric.better != direction) return;
    Json entry{{"name", made.name + " " + metric.move.metric.name},
               {"unit", metric.move.metric.unit},
               {"value", metric.move.now}};
    if (metric.interval) {
      entry["range"] = fmt::format("{:.4g}", (metric.interval->upper - metric.interval->lower) / 2);
    }
    if (!metric.because.empty()) entry["extra"] = metric.because;
    json.push_back(std::move(entry));
  });
  return lines_of(json);
}

Json to_json(const Verdict& verdict) {
  Json json{{"title", verdict.title}, {"passed", verdict.passed()}, {"cases", Json::array()}};
  for (const CaseVerdict& made : verdict.cases) {
    Json entry{{"name", made.name}, {"state", to_string(made.state)}, {"problem", made.problem}};
    entry["metrics"] = Json::array();
    for (const MetricVerdict& metric : made.metrics) {
      entry["metrics"].push_back({{"name", metric.move.metric.name},
                                  {"state", to_string(metric.state)},
                                  {"allowed", metric.rule},
                                  {"because", metric.because}});
    }
    entry["difference"] = to_json(made.difference);
    json["cases"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace cmsim::check
