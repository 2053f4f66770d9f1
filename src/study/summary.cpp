#include <nlohmann/json.hpp>
#include <utility>

#include "cmsim/base/json_text.hpp"
#include "cmsim/study/analysis.hpp"

namespace cmsim::study {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const CellFigure& figure) {
  if (figure.number) {
    const Estimate& number = *figure.number;
    return {{"mean", number.mean},
            {"half_width", number.half ? Json(*number.half) : Json(nullptr)},
            {"samples", number.samples}};
  }
  if (figure.flag) return {{"met", figure.flag->met}, {"of", figure.flag->of}};
  return figure.texts.empty() ? Json(nullptr) : Json(figure.texts);
}

Json counts_json(const PointCounts& counts) {
  return {{"of", counts.of},
          {"done", counts.done},
          {"failed", counts.failed},
          {"missing", counts.missing}};
}

}  // namespace

std::string to_summary(const Table& table) {
  const std::vector<Axis> axes = table.study.axes();
  const auto figures = cell_figures(table);
  Json json{{"scenario", table.study.file.string()},
            {"command", table.study.command},
            {"seeds", table.study.seeds},
            {"confidence", kConfidence},
            {"points", counts_json(count_points(table))},
            {"cells", Json::array()}};
  for (std::size_t cell = 0; cell < table.cells.size(); ++cell) {
    Json params = Json::object(), metrics = Json::object();
    for (std::size_t axis = 0; axis < axes.size(); ++axis) {
      params[axes[axis].pointer] = table.cells[cell].values[axis];
    }
    for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
      metrics[table.study.metrics[m].name] = to_json(figures[cell][m]);
    }
    json["cells"].push_back({{"params", params},
                             {"points", counts_json(count_points(table, cell))},
                             {"metrics", metrics}});
  }
  return json_text(std::move(json)) + "\n";
}

}  // namespace cmsim::study
