#include "same_meaning.hpp"

#include <nlohmann/json.hpp>
#include <optional>

namespace cmsim::study {
namespace {

struct Column {
  const char* name;
  const char* pointer;
};
constexpr Column kColumns[] = {{"request_rate", "/window/request_rate"},
                               {"ttft", "/window/ttft_ms/mean"},
                               {"tpot", "/window/tpot_ms/mean"},
                               {"request_latency", "/window/e2el_ms/mean"},
                               {"seq/s", "/window/request_throughput"},
                               {"tokens/s", "/window/output_throughput"},
                               {"(p)workers", "/window/prefill/instances"},
                               {"(d)workers", "/window/decode/instances"}};

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
  const double sum = number_at(result, "/window/prefill/npus").value_or(0) +
                     number_at(result, "/window/decode/npus").value_or(0);
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
  values.push_back(quotient(number_at(result, "/window/request_throughput"), all));
  values.push_back(quotient(number_at(result, "/window/output_throughput"), all));
  values.push_back(quotient(1000, number_at(result, "/window/tpot_ms/mean")));
  return values;
}

}  // namespace cmsim::study
