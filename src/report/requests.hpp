// requests.csv as what charts of it need: exact distributions, and a sample of the rows.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cmsim::report {

/// `window`: that of the result. `file` is for messages.
nlohmann::ordered_json requests_json(std::string_view csv, const std::string& file,
                                     const nlohmann::ordered_json& window);

}  // namespace cmsim::report
