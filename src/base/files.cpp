#include "cmsim/base/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "cmsim/base/error.hpp"

namespace cmsim {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kLongestWait{60};
constexpr std::chrono::milliseconds kBetweenTries{5};

[[noreturn]] void fail(const fs::path& path, const char* what, int error) {
  throw OutputError(fmt::format("{}: {}: {}", path.string(), what, std::strerror(error)));
}

/// Signals that ask for an end wait until the unit is complete.
class SignalsWait {
 public:
  SignalsWait() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
  }
  ~SignalsWait() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsWait(const SignalsWait&) = delete;
  SignalsWait& operator=(const SignalsWait&) = delete;

 private:
  sigset_t before_{};
};

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() {
    if (number_ >= 0) ::close(number_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int number() const { return number_; }
  /// 0, or -1 with errno: a disk may notice only now that it is full.
  int close() { return ::close(std::exchange(number_, -1)); }

 private:
  int number_;
};

class DirectoryLock {
 public:
  explicit DirectoryLock(const fs::path& directory)
      : descriptor_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (descriptor_.number() < 0) {
      if (errno == EACCES) return;  // it may be written, but not read
      fail(directory, "cannot be opened", errno);
    }
    const auto give_up = std::chrono::steady_clock::now() + kLongestWait;
    while (::flock(descriptor_.number(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return;  // this file system has no such locks
      if (std::chrono::steady_clock::now() > give_up) {
        throw OutputError(fmt::format("{}: another process has locked it for {} s",
                                      directory.string(), kLongestWait.count()));
      }
      std::this_thread::sleep_for(kBetweenTries);
    }
    held_ = true;
  }
  bool held() const { return held_; }

 private:
  FileDescriptor descriptor_;
  bool held_ = false;
};

/// "<prefix><pid>-<number>", as staged_name() makes them.
bool is_staged_name(std::string_view name) {
  if (!name.starts_with(kStagedPrefix)) return false;
  name.remove_prefix(kStagedPrefix.size());
  const std::size_t dash = name.find('-');
  const auto digits = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  return dash != std::string_view::npos && digits(name.substr(0, dash)) &&
         digits(name.substr(dash + 1));
}

fs::path staged_name(const fs::path& directory, int number) {
  return directory / fmt::format("{}{}-{}", kStagedPrefix, ::getpid(), number);
}

/// With the lock held nobody else is staging, so whatever lies there was left by a killed writer.
void remove_stale(const fs::path& directory) {
  std::error_code error;
  std::vector<fs::path> stale;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat facts {};
    if (!is_staged_name(entry->path().filename().string())) continue;
    if (::lstat(entry->path().c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) continue;
    if (facts.st_uid == ::geteuid()) stale.push_back(entry->path());
  }
  for (const fs::path& file : stale) fs::remove(file, error);
}

/// Writes all of it to the descriptor; false with errno.
bool write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count = ::write(descriptor, content.data(), content.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) content.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// A file under a temporary name, removed unless it was put into its place.
class StagedFile {
 public:
  StagedFile(const fs::path& target, std::string_view content,
             const std::function<std::string_view()>& next = {})
      : target_(target) {
    int descriptor = -1;
    for (int attempt = 0; descriptor < 0; ++attempt) {
      staged_ = staged_name(target.parent_path(), attempt);
      descriptor = ::open(staged_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor < 0 && errno != EEXIST) fail(target, "cannot be written", errno);
    }
    FileDescriptor file(descriptor);
    try {
      bool written = write_all(file.number(), content);
      while (written && next) {
        const std::string_view piece = next();
        if (piece.empty()) break;
        written = write_all(file.number(), piece);
      }
      if (!written || file.close() != 0) fail(target, "cannot be written", errno);
    } catch (...) {
      remove();
      throw;
    }
  }
  ~StagedFile() {
    if (!staged_.empty()) remove();
  }
  StagedFile(StagedFile&& other) noexcept
      : target_(std::move(other.target_)), staged_(std::exchange(other.staged_, {})) {}
  StagedFile& operator=(StagedFile&&) = delete;

  void put_in_place() {
    if (::rename(staged_.c_str(), target_.c_str()) != 0) fail(target_, "cannot be written", errno);
    staged_.clear();
  }

 private:
  void remove() { ::unlink(std::exchange(staged_, {}).c_str()); }

  fs::path target_, staged_;
};

void take_away(const fs::path& file) {
  if (::unlink(file.c_str()) != 0 && errno != ENOENT) fail(file, "cannot be replaced", errno);
}

void refuse_directory(const fs::path& file) {
  std::error_code error;
  if (fs::is_directory(file, error)) fail(file, "cannot be written", EISDIR);
}

/// The directory itself, or the one in which it would be made.
fs::path nearest_existing(const fs::path& directory) {
  std::error_code error;
  fs::path at = fs::absolute(directory, error).lexically_normal();
  while (at.has_relative_path() && fs::status(at, error).type() == fs::file_type::not_found) {
    at = at.parent_path();
  }
  return at;
}

/// What a chain of symbolic links stands for, also when that is not there yet.
fs::path behind_links(fs::path file) {
  constexpr int kMostLinks = 40;  // as Linux
  std::error_code error;
  for (int links = 0; fs::is_symlink(fs::symlink_status(file, error)); ++links) {
    if (links == kMostLinks) fail(file, "cannot be written", ELOOP);
    file = file.parent_path() / fs::read_symlink(file, error);
  }
  return file;
}

/// A pipe or a device: written in place.
bool is_special(const fs::file_status& status) {
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

fs::path directory_of(const fs::path& file) {
  return file.parent_path().empty() ? fs::path(".") : file.parent_path();
}

void write_in_place(const fs::path& file, std::string_view content) {
  FileDescriptor descriptor(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (descriptor.number() < 0 || !write_all(descriptor.number(), content) ||
      descriptor.close() != 0) {
    fail(file, "cannot be written", errno);
  }
}

}  // namespace

void write_unit(const fs::path& directory, std::span<const NamedContent> files,
                std::span<const std::string_view> gone) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) fail(directory, "cannot be made", error.value());
  const DirectoryLock lock(directory);
  const SignalsWait signals_wait;
  if (lock.held()) remove_stale(directory);
  std::vector<StagedFile> staged;
  for (const NamedContent& file : files) {
    refuse_directory(directory / file.name);
    staged.emplace_back(directory / file.name, file.content, file.next);
  }
  take_away(directory / files.back().name);
  for (const std::string_view name : gone) take_away(directory / name);
  for (StagedFile& file : staged) file.put_in_place();
}

void check_place(const fs::path& directory) {
  const auto refuse = [&](const std::string& reason) {
    throw ConfigError({directory.string(), 0, ""}, "cannot be written into: " + reason);
  };
  if (directory.empty()) refuse("it has no name");
  std::error_code error;
  if (fs::is_symlink(fs::symlink_status(directory, error)) && !fs::exists(directory, error)) {
    refuse("it is a link to what is not there");
  }
  const fs::path existing = nearest_existing(directory);
  const fs::file_status status = fs::status(existing, error);
  if (!fs::status_known(status)) refuse(error.message());
  if (!fs::is_directory(status)) refuse(existing.string() + " is not a directory");
  if (::access(existing.c_str(), W_OK | X_OK) != 0) refuse(std::strerror(errno));
}

void check_place_of(const fs::path& file) {
  const fs::path target = behind_links(file);
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  const auto refuse = [&](const std::string& reason) {
    throw ConfigError({file.string(), 0, ""}, reason);
  };
  if (target.filename().empty() || fs::is_directory(status)) refuse("is a directory, not a file");
  if (is_special(status)) {
    if (::access(target.c_str(), W_OK) != 0) refuse(std::strerror(errno));
    return;
  }
  const fs::path directory = directory_of(target);
  if (!fs::is_directory(directory, error)) refuse("its directory does not exist");
  check_place(directory);
}

void write_whole(const fs::path& file, std::string_view content) {
  const fs::path target = behind_links(file);
  std::error_code error;
  if (is_special(fs::status(target, error))) return write_in_place(target, content);
  refuse_directory(target);
  const SignalsWait signals_wait;
  StagedFile(directory_of(target) / target.filename(), content).put_in_place();
}

}  // namespace cmsim
