#include "same_meaning.hpp"

#include <nlohmann/json.hpp>
#include <optional>

namespace cmsim::study {
namespace {

struct Column {
  const char* name;
  const char* pointer;
};
constexpr Column kColumns[] = {{"request_rate", "/load/arrival_rate"},
                               {"ttft", "/mean_ttft_ms"},
                               {"tpot", "/mean_tpot_ms"},
                               {"request_latency", "/mean_e2el_ms"},
                               {"seq/s", "/request_throughput"},
                               {"tokens/s", "/output_throughput"},
                               {"(p)workers", "/prefill/instances"},
                               {"(d)workers", "/decode/instances"}};

std::optional<double> number_at(const nlohmann::json& result, const char* pointer) {
  const Value value = value_of(result, {"", pointer});
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::nullopt;
}

Value quotient(std::optional<double> number, std::optional<double> divisor) {
  Value value;
  if (number && divisor && *divisor > 0) value = *number / *divisor;
  return value;
}

/// Of both roles, where there are any.
std::optional<double> npus(const nlohmann::json& result) {
  const double sum = number_at(result, "/prefill/npus").value_or(0) +
                     number_at(result, "/decode/npus").value_or(0);
  return sum > 0 ? std::optional(sum) : std::nullopt;
}

}  // namespace

std::vector<std::string> same_meaning_names() {
  std::vector<std::string> names;
  for (const Column& column : kColumns) names.emplace_back(column.name);
  for (const char* name : {"num_total_gpus", "seq/s/gpu", "tokens/s/gpu", "tokens/s/user"}) {
    names.emplace_back(name);
  }
  return names;
}

std::vector<Value> same_meaning(const nlohmann::json& result) {
  std::vector<Value> values;
  for (const Column& column : kColumns) values.push_back(value_of(result, {"", column.pointer}));
  const auto all = npus(result);
  values.push_back(quotient(all, 1));
  values.push_back(quotient(number_at(result, "/request_throughput"), all));
  values.push_back(quotient(number_at(result, "/output_throughput"), all));
  values.push_back(quotient(1000, number_at(result, "/mean_tpot_ms")));
  return values;
}

}  // namespace cmsim::study
