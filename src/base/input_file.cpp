#include "cmsim/base/input_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "cmsim/base/error.hpp"
#include "cmsim/base/units.hpp"
#include "cmsim/base/utf8.hpp"

namespace cmsim {
namespace {

std::system_error last_error() { return {errno, std::generic_category()}; }

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw ConfigError({.file = path.string(), .line = 0, .pointer = ""}, message);
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) {
  require_utf8(path.native());
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) {
    if (errno == ENOENT) fail(path, "no such file");
    fail(path, fmt::format("cannot be opened: {}", last_error().code().message()));
  }
  struct stat status = {};
  if (::fstat(descriptor_, &status) == 0 && S_ISDIR(status.st_mode)) {
    ::close(descriptor_);
    fail(path, "is a directory, not a file");
  }
}

InputFile::~InputFile() { ::close(descriptor_); }

std::size_t InputFile::read(std::span<char> into) {
  const auto count = ::read(descriptor_, into.data(), into.size());
  if (count < 0) throw last_error();
  return static_cast<std::size_t>(count);
}

std::string read_whole(const std::filesystem::path& path, std::size_t most) {
  constexpr std::size_t kChunk = 64 * 1024;
  InputFile file(path);
  std::string text;
  try {
    for (std::size_t size = 0;;) {
      text.resize(size + kChunk);
      const std::size_t count = file.read(std::span(text).subspan(size));
      size += count;
      text.resize(size);
      if (size > most) {
        fail(path, fmt::format("is longer than {}, the most that is read",
                               format_quantity(static_cast<double>(most), Dimension::kBytes)));
      }
      if (count == 0) return text;
    }
  } catch (const std::system_error& error) {
    fail(path, fmt::format("cannot be read: {}", error.code().message()));
  }
}

}  // namespace cmsim
