// What a JSON file is, told by its keys, so that one in the place of another is called what it is.
#pragma once

#include <filesystem>

namespace cmsim::run {

enum class FileKind { kScenario, kPlatform, kDevice, kModel, kStudy, kBaseline, kResult };

/// Throws a ConfigError that says what the file is and what it is for, when it is of another kind
/// than `wanted` for sure. A pipe is not read.
void expect_kind(const std::filesystem::path& file, FileKind wanted);

}  // namespace cmsim::run
