#include "cmsim/study/analysis.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cmsim/base/error.hpp"

namespace cmsim::study {
namespace {

std::size_t seeds_of(const Table& table) {
  return std::max<std::size_t>(1, table.study.seeds.size());
}

const Value& value_at(const Table& table, std::size_t cell, std::size_t seed, std::size_t metric) {
  return table.values[cell * seeds_of(table) + seed][metric];
}

CellFigure figure_at(const Table& table, std::size_t cell, std::size_t metric) {
  std::vector<Value> values;
  for (std::size_t seed = 0; seed < seeds_of(table); ++seed) {
    values.push_back(value_at(table, cell, seed, metric));
  }
  return figure_of(values);
}

std::optional<Difference> difference_of(const Table& table, std::size_t against, std::size_t cell,
                                        std::size_t metric) {
  std::vector<double> first, second;
  for (std::size_t seed = 0; seed < seeds_of(table); ++seed) {
    const auto a = number_of(table, against, seed, metric);
    const auto b = number_of(table, cell, seed, metric);
    if (!a || !b) continue;
    first.push_back(*a);
    second.push_back(*b);
  }
  if (first.empty()) return std::nullopt;
  return paired_difference(first, second);
}

/// The cells that are equal but for a dimension, in its order; groups in the order of the cells.
std::vector<std::vector<std::size_t>> groups_of(const Table& table, std::size_t dimension) {
  std::map<std::vector<std::size_t>, std::vector<std::size_t>> groups;
  for (std::size_t cell = 0; cell < table.cells.size(); ++cell) {
    std::vector<std::size_t> others = table.cells[cell].at;
    others[dimension] = 0;
    groups[others].push_back(cell);
  }
  std::vector<std::vector<std::size_t>> list;
  for (auto& [key, cells] : groups) list.push_back(std::move(cells));
  return list;
}

/// Turned so that more is better.
std::optional<double> goodness(const Table& table, std::size_t cell, std::size_t metric) {
  const CellFigure figure = figure_at(table, cell, metric);
  if (!figure.number) return std::nullopt;
  const bool higher = table.study.metrics[metric].better == Better::kHigher;
  return higher ? figure.number->mean : -figure.number->mean;
}

std::size_t index_of(const Table& table, const Metric& metric) {
  for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
    if (table.study.metrics[m].pointer != metric.pointer) continue;
    if (metric.better == Better::kUnknown) break;
    return m;
  }
  throw ConfigError({"--pareto " + metric.name, 0, ""},
                    "needs metrics of which it is known whether more or less is better");
}

}  // namespace

CellFigure figure_of(std::span<const Value> values) {
  CellFigure figure;
  std::vector<double> numbers;
  for (const Value& value : values) {
    if (const auto* number = std::get_if<double>(&value)) numbers.push_back(*number);
    if (const auto* text = std::get_if<std::string>(&value)) ++figure.texts[*text];
    const auto* flag = std::get_if<bool>(&value);
    if (flag == nullptr) continue;
    if (!figure.flag) figure.flag.emplace();
    figure.flag->met += *flag ? 1 : 0;
    ++figure.flag->of;
  }
  if (!numbers.empty()) figure.number = estimate(numbers);
  return figure;
}

std::optional<double> number_of(const Table& table, std::size_t cell, std::size_t seed,
                                std::size_t metric) {
  const auto* number = std::get_if<double>(&value_at(table, cell, seed, metric));
  return number == nullptr ? std::nullopt : std::optional(*number);
}

bool is_passing(const Table& table, std::size_t cell) {
  const auto first = table.passing.begin() + static_cast<long>(cell * seeds_of(table));
  return std::find(first, first + static_cast<long>(seeds_of(table)), true) !=
         first + static_cast<long>(seeds_of(table));
}

std::vector<std::vector<CellFigure>> cell_figures(const Table& table) {
  std::vector<std::vector<CellFigure>> figures(table.cells.size());
  for (std::size_t cell = 0; cell < table.cells.size(); ++cell) {
    for (std::size_t metric = 0; metric < table.study.metrics.size(); ++metric) {
      figures[cell].push_back(figure_at(table, cell, metric));
    }
  }
  return figures;
}

std::vector<CellChange> changes(const Table& table, std::size_t dimension) {
  std::vector<CellChange> list;
  for (const std::vector<std::size_t>& group : groups_of(table, dimension)) {
    for (std::size_t i = 1; i < group.size(); ++i) {
      CellChange change{group[i], group[0], {}};
      for (std::size_t metric = 0; metric < table.study.metrics.size(); ++metric) {
        change.metrics.push_back(difference_of(table, group[0], group[i], metric));
      }
      list.push_back(std::move(change));
    }
  }
  return list;
}

Changes all_changes(const Table& table) {
  Changes all;
  std::vector<Difference*> tested;
  std::vector<double> p;
  for (std::size_t d = 0; d < table.study.dimensions.size(); ++d) {
    all.dimensions.push_back(changes(table, d));
  }
  for (std::vector<CellChange>& list : all.dimensions) {
    for (CellChange& change : list) {
      for (std::optional<Difference>& difference : change.metrics) {
        if (!difference || !difference->p || difference->exact) continue;
        tested.push_back(&*difference);
        p.push_back(*difference->p);
      }
    }
  }
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < tested.size(); ++i) tested[i]->p = adjusted[i];
  all.tested = tested.size();
  return all;
}

std::vector<std::optional<Estimate>> elasticities(const Table& table, std::size_t dimension) {
  const Axis& axis = table.study.dimensions[dimension].front();
  std::vector<double> x;
  for (const std::string& value : axis.values) {
    const auto number = numeric_value(value);
    if (!number || *number <= 0) return {};
    x.push_back(*number);
  }
  if (x.size() < 2) return {};
  const auto groups = groups_of(table, dimension);
  std::vector<std::optional<Estimate>> result(table.study.metrics.size());
  for (std::size_t metric = 0; metric < result.size(); ++metric) {
    std::vector<double> by_seed;
    for (std::size_t seed = 0; seed < seeds_of(table); ++seed) {
      std::vector<double> slopes;
      for (const std::vector<std::size_t>& group : groups) {
        std::vector<double> y;
        for (const std::size_t cell : group) {
          y.push_back(number_of(table, cell, seed, metric).value_or(0));
        }
        if (const auto slope = log_slope(x, y)) slopes.push_back(*slope);
      }
      if (slopes.size() == groups.size()) by_seed.push_back(estimate(slopes).mean);
    }
    // Of those seeds alone that happen to have one it would be an anecdote.
    if (by_seed.size() == seeds_of(table)) result[metric] = estimate(by_seed);
  }
  return result;
}

std::vector<std::size_t> pareto(const Table& table, const Metric& first, const Metric& second) {
  const std::size_t a = index_of(table, first), b = index_of(table, second);
  struct Candidate {
    std::size_t cell;
    double first, second;
  };
  std::vector<Candidate> candidates;
  for (std::size_t cell = 0; cell < table.cells.size(); ++cell) {
    const auto x = goodness(table, cell, a), y = goodness(table, cell, b);
    if (x && y) candidates.push_back({cell, *x, *y});
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const auto& l, const auto& r) {
    return l.first != r.first ? l.first > r.first : l.second > r.second;
  });
  std::vector<std::size_t> front;
  std::optional<Candidate> last;
  for (const Candidate& candidate : candidates) {
    const bool equal = last && candidate.first == last->first && candidate.second == last->second;
    if (last && candidate.second <= last->second && !equal) continue;
    front.push_back(candidate.cell);
    last = candidate;
  }
  return front;
}

}  // namespace cmsim::study
