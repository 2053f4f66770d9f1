#include "src/cli/calibration.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace cmsim::cli {
namespace {

Validation rows_off_by(const std::vector<double>& errors, std::vector<std::string> parameters) {
  Validation validation;
  for (std::string& name : parameters) {
    FreeParameter parameter;
    parameter.name = std::move(name);
    parameter.value = "1 us";
    validation.parameters.push_back(std::move(parameter));
  }
  for (const double error : errors) {
    ValidationRow row;
    row.role = "calibrated";
    row.published = 1;
    row.ours = 1 + error;
    validation.rows.push_back(std::move(row));
  }
  return validation;
}

// One parameter that three rows follow one to one. Without the first the other two, off by ln 1.02
// and ln 1.04, ask for less by their mean: what is left of the first is its error less that.
TEST(CrossValidation, PredictsARowFromTheOthers) {
  const Validation validation = rows_off_by({0.10, 0.02, 0.04}, {"a"});
  const Calibration calibration = cross_validate(validation, {{1}, {1}, {1}});
  const double mean = (std::log(1.02) + std::log(1.04)) / 2;
  ASSERT_TRUE(calibration.rows[0].left_out.has_value());
  EXPECT_NEAR(*calibration.rows[0].left_out, std::expm1(std::log(1.10) - mean), 1e-9);
  EXPECT_NEAR(calibration.rows[0].error, 0.10, 1e-9);
  EXPECT_NEAR(calibration.rms_error, std::sqrt((0.01 + 0.0004 + 0.0016) / 3), 1e-9);
}

// Two parameters: the first row follows both, the second a alone, the third b by its square.
// Without the first: a asks for -ln 1.02, b for -ln 1.04 / 2.
TEST(CrossValidation, SolvesForSeveralParameters) {
  const Validation validation = rows_off_by({0, 0.02, 0.04}, {"a", "b"});
  const Calibration calibration = cross_validate(validation, {{1, 1}, {1, 0}, {0, 2}});
  EXPECT_NEAR(*calibration.rows[0].left_out, std::expm1(-std::log(1.02) - std::log(1.04) / 2),
              1e-9);
}

TEST(CrossValidation, SaysWhichParameterARowAloneSees) {
  const Validation validation = rows_off_by({0.01, 0.02, 0.03}, {"a", "b"});
  const Calibration calibration = cross_validate(validation, {{1, 0}, {1, 0}, {1, 1}});
  EXPECT_TRUE(calibration.rows[0].left_out.has_value());
  EXPECT_FALSE(calibration.rows[2].left_out.has_value());
  EXPECT_EQ(calibration.rows[2].alone_sees, "b");
  EXPECT_NE(calibration_table(calibration).find("alone sees b"), std::string::npos);
}

// Standard error of a mean of three: sqrt(sum of squares / 2 / 3).
TEST(CrossValidation, GivesTheStandardErrorOfAParameter) {
  const Validation validation = rows_off_by({0.1, 0.1, -0.1}, {"a"});
  const Calibration calibration = cross_validate(validation, {{1}, {1}, {1}});
  const double squares = 2 * std::pow(std::log(1.1), 2) + std::pow(std::log(0.9), 2);
  EXPECT_NEAR(calibration.parameters[0].spread, std::sqrt(squares / 2 / 3), 1e-9);
}

}  // namespace
}  // namespace cmsim::cli
