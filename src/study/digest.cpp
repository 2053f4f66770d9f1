#include "cmsim/study/digest.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>
#include <vector>

#include "cmsim/base/config.hpp"
#include "cmsim/base/input_file.hpp"
#include "cmsim/base/version.hpp"
#include "cmsim/run/collective.hpp"
#include "cmsim/run/digest.hpp"
#include "cmsim/run/shipped.hpp"

namespace cmsim::study {
namespace {

namespace fs = std::filesystem;

void add_file(run::Digest& digest, const fs::path& path) {
  InputFile file(path);
  std::array<char, 1 << 16> buffer;
  try {
    while (const std::size_t count = file.read(buffer)) digest.add({buffer.data(), count});
  } catch (const std::system_error& error) {
    throw ConfigError({path.string(), 0, ""}, error.what());
  }
}

/// The value of an option among the further words of a command line; "" when it is not given.
std::string option(const Point& point, std::string_view name) {
  const auto found = std::find(point.options.begin(), point.options.end(), name);
  return found == point.options.end() || found + 1 == point.options.end() ? "" : *(found + 1);
}

}  // namespace

std::string content_digest(const fs::path& path) {
  run::Digest digest;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    add_file(digest, path);
    return digest.hex();
  }
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
    if (entry.is_regular_file(error)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    digest.add(fs::relative(file, path, error).string());
    add_file(digest, file);
  }
  return digest.hex();
}

std::string program_digest() {
  return std::string(kVersion) + " " + content_digest("/proc/self/exe");
}

const std::string& PointDigests::content(const fs::path& file) {
  std::string& kept = contents_[file];
  if (kept.empty()) kept = content_digest(file);
  return kept;
}

std::string PointDigests::document_of(const Point& point) {
  if (point.command == "run" || point.command == "step") {
    const ConfigDocument document =
        files_.get(point.file).document(run::settings_of(all_sets(point)));
    const fs::path trace = run::trace_of(document);
    check_lasting(trace);
    return run::scenario_digest(document) + (trace.empty() ? "" : content(trace));
  }
  check_lasting(point.file);
  const fs::path file = run::find_platform(point.file.string());
  const ConfigDocument document = run::platform_document(file.string(), point.sets);
  const fs::path model =
      point.command == "collective" ? run::find_model(option(point, "--model"), file) : fs::path();
  return document.value().dump() + (point.seed ? std::to_string(*point.seed) : "") +
         (model.empty() ? "" : content(model));
}

std::string PointDigests::of(const Point& point) {
  run::Digest digest;
  const auto add = [&](const std::string& text) {
    digest.add(text.size());
    digest.add(text);
  };
  add(salt_);
  add(point.command);
  for (const std::string& word : point.options) add(word);
  add(document_of(point));
  return digest.hex();
}

}  // namespace cmsim::study
