#include "calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "terminal.hpp"

namespace cmsim::cli {
namespace {

using Vector = std::vector<double>;

constexpr double kStep = 0.05;  // of a parameter, up and down
constexpr double kRidge = 1e-9;
constexpr double kSaysSomething = 0.01;

/// x of A x = b for a symmetric positive definite A, by Cholesky's factors.
Vector solve(std::vector<Vector> a, Vector b) {
  const std::size_t n = b.size();
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
    a[j][j] = std::sqrt(a[j][j]);
    for (std::size_t i = j + 1; i < n; ++i) {
      for (std::size_t k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
      a[i][j] /= a[j][j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// The normal equations of all rows but `left_out`, in the parameters `used`.
struct Normal {
  std::vector<Vector> matrix;
  Vector right;
};

Vector picked(const Vector& of_all, const std::vector<std::size_t>& used) {
  Vector some;
  for (const std::size_t p : used) some.push_back(of_all[p]);
  return some;
}

Normal normal_equations(const Elasticities& elasticities, const Vector& wanted,
                        const std::vector<std::size_t>& used, std::size_t left_out) {
  Normal normal{std::vector<Vector>(used.size(), Vector(used.size())), Vector(used.size())};
  // Parameters that the rows cannot tell apart move as little as may be.
  for (std::size_t i = 0; i < used.size(); ++i) normal.matrix[i][i] = kRidge;
  for (std::size_t r = 0; r < elasticities.size(); ++r) {
    if (r == left_out) continue;
    const Vector row = picked(elasticities[r], used);
    for (std::size_t i = 0; i < used.size(); ++i) {
      normal.right[i] += row[i] * wanted[r];
      for (std::size_t j = 0; j < used.size(); ++j) normal.matrix[i][j] += row[i] * row[j];
    }
  }
  return normal;
}

/// Parameters that the rows but `left_out` say something of: a hundredth of what all rows do.
std::vector<std::size_t> seen_without(const Elasticities& elasticities, std::size_t parameters,
                                      std::size_t left_out) {
  std::vector<std::size_t> seen;
  for (std::size_t p = 0; p < parameters; ++p) {
    double all = 0, others = 0;
    for (std::size_t r = 0; r < elasticities.size(); ++r) {
      const double square = elasticities[r][p] * elasticities[r][p];
      all += square;
      if (r != left_out) others += square;
    }
    if (others > kSaysSomething * all) seen.push_back(p);
  }
  return seen;
}

double rms(const Vector& values) {
  return values.empty() ? 0 : std::sqrt(dot(values, values) / static_cast<double>(values.size()));
}

/// "0.275 ms" a little more: "0.28875ms".
std::string scaled(const std::string& value, double factor) {
  std::size_t end = 0;
  const double number = std::stod(value, &end);
  std::string unit = value.substr(end);
  std::erase(unit, ' ');
  return fmt::format("{:.9g}{}", number * factor, unit);
}

/// The command with the parameter changed; as it is where it has no such parameter.
Command with_parameter(const Command& command, const FreeParameter& parameter, double factor) {
  constexpr std::string_view kPlatform = "/platform";
  std::string pointer = parameter.pointer;
  if (command[0] == "collective" || command[0] == "p2p") {  // their file is the platform
    if (!pointer.starts_with(kPlatform)) return command;
    pointer.erase(0, kPlatform.size());
  }
  Command changed = command;
  changed.insert(changed.end(),
                 {"--set", fmt::format("{}={}", pointer, scaled(parameter.value, factor))});
  return changed;
}

std::string left_out_of(const CalibrationRow& row) {
  return row.left_out ? signed_percent(*row.left_out) : "alone sees " + row.alone_sees;
}

std::vector<ValidationRow> calibrated_rows(const Validation& validation) {
  std::vector<ValidationRow> rows;
  std::ranges::copy_if(validation.rows, std::back_inserter(rows),
                       [](const ValidationRow& row) { return row.role == "calibrated"; });
  return rows;
}

}  // namespace

Calibration cross_validate(const Validation& validation, const Elasticities& elasticities) {
  const std::vector<ValidationRow> rows = calibrated_rows(validation);
  const std::size_t parameters = validation.parameters.size(), none = rows.size();
  Vector wanted, errors, left_out;  // ln(published / ours)
  for (const ValidationRow& row : rows) {
    wanted.push_back(-std::log1p(row.error()));
    errors.push_back(row.error());
  }
  Calibration calibration;
  const auto all = seen_without(elasticities, parameters, none);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    CalibrationRow row{rows[r].id, rows[r].what, rows[r].error(), std::nullopt, ""};
    const auto seen = seen_without(elasticities, parameters, r);
    for (const std::size_t p : all) {
      if (std::ranges::find(seen, p) == seen.end()) row.alone_sees = validation.parameters[p].name;
    }
    if (row.alone_sees.empty()) {
      const Normal normal = normal_equations(elasticities, wanted, seen, r);
      const Vector move = solve(normal.matrix, normal.right);
      row.left_out = std::expm1(std::log1p(row.error) + dot(picked(elasticities[r], seen), move));
      left_out.push_back(*row.left_out);
    }
    calibration.rows.push_back(std::move(row));
  }
  const Normal normal = normal_equations(elasticities, wanted, all, none);
  const double freedom =
      std::max(1.0, static_cast<double>(rows.size()) - static_cast<double>(all.size()));
  const double variance = dot(wanted, wanted) / freedom;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Vector unit(all.size());
    unit[i] = 1;
    const FreeParameter& parameter = validation.parameters[all[i]];
    calibration.parameters.push_back(
        {parameter.name, parameter.value, std::sqrt(variance * solve(normal.matrix, unit)[i])});
  }
  calibration.rms_error = rms(errors);
  calibration.rms_left_out = rms(left_out);
  return calibration;
}

Calibration cross_validate(const Validation& validation, const serve::PolicyRegistry& registry,
                           int jobs) {
  const std::vector<ValidationRow> rows = calibrated_rows(validation);
  const auto changed = [&](const ValidationRow& row, const FreeParameter& parameter,
                           double factor) {
    ValidationRow copy = row;
    copy.command = with_parameter(row.command, parameter, factor);
    if (!row.over.empty()) copy.over = with_parameter(row.over, parameter, factor);
    return copy;
  };
  std::set<Command> commands;
  for (const FreeParameter& parameter : validation.parameters) {
    for (const ValidationRow& row : rows) {
      for (const double factor : {1 + kStep, 1 - kStep}) {
        const ValidationRow other = changed(row, parameter, factor);
        commands.insert(other.command);
        if (!other.over.empty()) commands.insert(other.over);
      }
    }
  }
  const Results results = run_commands(commands, validation.root, registry, jobs);
  Elasticities elasticities;
  for (const ValidationRow& row : rows) {
    Vector& of_row = elasticities.emplace_back();
    for (const FreeParameter& parameter : validation.parameters) {
      // A row that a parameter has no effect on refuses to be run with it.
      const auto high = figure_of(results, changed(row, parameter, 1 + kStep));
      const auto low = figure_of(results, changed(row, parameter, 1 - kStep));
      of_row.push_back(high && low ? std::log(*high / *low) / std::log((1 + kStep) / (1 - kStep))
                                   : 0);
    }
  }
  return cross_validate(validation, elasticities);
}

std::string calibration_table(const Calibration& calibration) {
  std::string text = styled("Leave one out", Style::kBold, paint_for(Stream::kOut)) + "\n";
  std::size_t width = 0;
  for (const CalibrationRow& row : calibration.rows) width = std::max(width, row.what.size());
  text += fmt::format("  {:<{}}  {:>9}  {}\n", "", width, "error", "fitted without the row");
  for (const CalibrationRow& row : calibration.rows) {
    text += fmt::format("  {:<{}}  {:>9}  {}\n", row.what, width, signed_percent(row.error),
                        left_out_of(row));
  }
  text += fmt::format("  {:<{}}  {:>8.1f}%  {:.1f} %\n", "root mean square", width,
                      calibration.rms_error * 100, calibration.rms_left_out * 100);
  for (const CalibratedParameter& parameter : calibration.parameters) {
    text += fmt::format("  {:<{}}  {:>9}  +- {:.1f} %\n", parameter.name, width, parameter.value,
                        parameter.spread * 100);
  }
  return text;
}

std::string calibration_markdown(const Calibration& calibration) {
  std::string text =
      "# How well the free parameters are known\n\n"
      "Generated by `cmsim validate --cross-validate --markdown`. Every row that a parameter was\n"
      "fitted on is left out once, the parameters are fitted to the others, and the row is\n"
      "predicted. Fits are linear least squares of logarithms, with the elasticities of every row\n"
      "at the parameters' values (each run 5 % higher and lower).\n\n"
      "| row | error | fitted without it |\n|---|--:|--:|\n";
  for (const CalibrationRow& row : calibration.rows) {
    text +=
        fmt::format("| {} | {} | {} |\n", row.what, signed_percent(row.error), left_out_of(row));
  }
  text += fmt::format("| root mean square | {:.1f} % | {:.1f} % |\n\n", calibration.rms_error * 100,
                      calibration.rms_left_out * 100);
  text += "| parameter | value | standard error of the fit |\n|---|---|--:|\n";
  for (const CalibratedParameter& parameter : calibration.parameters) {
    text += fmt::format("| `{}` | {} | {:.1f} % |\n", parameter.name, parameter.value,
                        parameter.spread * 100);
  }
  return text;
}

nlohmann::ordered_json calibration_json(const Calibration& calibration) {
  nlohmann::ordered_json json;
  for (const CalibrationRow& row : calibration.rows) {
    nlohmann::ordered_json entry{{"id", row.id}, {"what", row.what}, {"error", row.error}};
    entry["left_out"] = row.left_out ? nlohmann::ordered_json(*row.left_out) : nullptr;
    if (!row.alone_sees.empty()) entry["alone_sees"] = row.alone_sees;
    json["rows"].push_back(std::move(entry));
  }
  for (const CalibratedParameter& parameter : calibration.parameters) {
    json["parameters"].push_back(
        {{"name", parameter.name}, {"value", parameter.value}, {"spread", parameter.spread}});
  }
  json["rms_error"] = calibration.rms_error;
  json["rms_left_out"] = calibration.rms_left_out;
  return json;
}

}  // namespace cmsim::cli
