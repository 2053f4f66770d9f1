// The columns of aiconfigurator's tables that mean the same in a result of `cmsim run`: times in
// ms, rates per second, a GPU is an NPU. They are whole-run figures, as vLLM counts them.
#pragma once

#include <string>
#include <vector>

#include "cmsim/study/metric.hpp"

namespace cmsim::study {

std::vector<std::string> same_meaning_names();
/// In the order of the names; nothing where the result has no such figure.
std::vector<Value> same_meaning(const nlohmann::json& result);

}  // namespace cmsim::study
