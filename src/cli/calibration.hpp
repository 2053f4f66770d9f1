// How well the free parameters are known: what they would be without a row, and what that row would
// then read.
//
// Figures are taken as power laws of the parameters around their values (elasticities, found by
// running every row with a parameter a little higher and lower), so that a fit is a linear least
// squares of logarithms.
#pragma once

#include "validation.hpp"

namespace cmsim::cli {

struct CalibrationRow {
  std::string id, what;
  double error = 0;                // with the parameters as they are
  std::optional<double> left_out;  // with those fitted to the other rows; none: see `alone_sees`
  std::string alone_sees;          // a parameter of which the other rows say next to nothing
};

struct CalibratedParameter {
  std::string name, value;
  double spread = 0;  // standard error of the fit, as a share of the value
};

struct Calibration {
  std::vector<CalibrationRow> rows;  // those with role "calibrated"
  std::vector<CalibratedParameter> parameters;
  double rms_error = 0, rms_left_out = 0;
};

/// By row and parameter, d ln(figure) / d ln(parameter).
using Elasticities = std::vector<std::vector<double>>;

/// From the errors of the calibrated rows of a validation that has run. Pure.
Calibration cross_validate(const Validation& validation, const Elasticities& elasticities);

/// Runs the calibrated rows of a validation that has run, with each parameter 5 % higher and lower.
/// Throws SimulationError when one fails.
Calibration cross_validate(const Validation& validation, const serve::PolicyRegistry& registry,
                           int jobs);

std::string calibration_table(const Calibration& calibration);
std::string calibration_markdown(const Calibration& calibration);
nlohmann::ordered_json calibration_json(const Calibration& calibration);

}  // namespace cmsim::cli
