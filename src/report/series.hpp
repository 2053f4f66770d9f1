// timeseries.csv with neighbouring intervals averaged where there are more than a chart can show.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace cmsim::report {

nlohmann::ordered_json series_json(std::string_view csv, const std::string& file);

}  // namespace cmsim::report
