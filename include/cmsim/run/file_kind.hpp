// What a JSON file is, told by its keys, so that one in the place of another is called what it is.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace cmsim::run {

enum class FileKind { kScenario, kPlatform, kDevice, kModel, kStudy, kBaseline, kResult, kUnknown };

FileKind file_kind(const nlohmann::json& document);

/// Throws a ConfigError that says what the file is and what it is for, when it is of another kind
/// than `wanted` for sure. A pipe is not read.
void expect_kind(const std::filesystem::path& file, FileKind wanted);

}  // namespace cmsim::run
