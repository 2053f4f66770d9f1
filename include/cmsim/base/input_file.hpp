// A file that the user named, opened once and read front to back: what works for a file works for a
// pipe or a device. Any failure is the user's: ConfigError on opening, std::system_error on
// reading, which whoever knows the line turns into a ConfigError. A signal that interrupts a read
// ends it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace cmsim {

class InputFile {
 public:
  /// ConfigError when it is missing, a directory or unreadable, or its name is not UTF-8.
  explicit InputFile(const std::filesystem::path& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// Fills the front of `into` with the next bytes and says how many; 0 at the end.
  std::size_t read(std::span<char> into);

 private:
  int descriptor_;
};

/// The whole file; ConfigError when it cannot be read or holds more than `most` bytes.
std::string read_whole(const std::filesystem::path& path, std::size_t most);

}  // namespace cmsim
