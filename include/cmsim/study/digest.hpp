// The address of a point: 16 hex digits of all that its result depends on, so that equal points of
// any two studies are one, on any machine with the same program.
//
// It covers the command and its options, the resolved document (machine, model, sets, seed), the
// content of a trace, a plugin or a model file named, and the program: its version and its binary.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "cmsim/study/runner.hpp"
#include "cmsim/study/study.hpp"

namespace cmsim::study {

/// Of this program.
std::string program_digest();

class PointDigests {
 public:
  /// `salt`: whatever else the results depend on, e.g. the content of plugins.
  PointDigests(ScenarioFiles& files, std::string salt) : files_(files), salt_(std::move(salt)) {}

  /// Throws ConfigError when a set cannot be applied or a file not be read.
  std::string of(const Point& point);

 private:
  std::string document_of(const Point& point);
  const std::string& content(const std::filesystem::path& file);

  ScenarioFiles& files_;
  std::string salt_;
  std::map<std::filesystem::path, std::string> contents_;  // digests of files read
};

/// Of a file, or of all files below a directory with their names. Throws ConfigError.
std::string content_digest(const std::filesystem::path& path);

}  // namespace cmsim::study
