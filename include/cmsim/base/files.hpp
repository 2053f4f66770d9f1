// Files that appear whole or not at all, and several of them as one unit.
//
// Writers into one directory exclude each other by a lock on it (flock). What is written is staged
// beside its place under a name that begins with kStagedPrefix and renamed when all of it is there;
// what a killed writer staged is removed by the next one. SIGINT, SIGTERM and SIGHUP wait
// while the lock is held. Every failure is an OutputError that names the file and the reason, and
// leaves what was there.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace cmsim {

inline constexpr std::string_view kStagedPrefix = ".cmsim-";

struct NamedContent {
  std::string_view name;  // in the directory
  std::string_view content;
};

/// Makes the directory when it is missing and writes the files into it. The last one seals the
/// unit: it is taken away before any of the others changes and appears after all of them, so that
/// files of two units are never seen together with it. Never holds the lock for longer than the
/// writing takes; gives up when another holds it for 60 s. Where the file system cannot lock,
/// writers do not exclude each other, and each file is still whole.
void write_unit(const std::filesystem::path& directory, std::span<const NamedContent> files);

/// Whether files could be written into `directory`, which may have to be made, as far as that can
/// be seen without changing anything. Throws ConfigError: somebody has chosen the place.
void check_place(const std::filesystem::path& directory);

/// The same for a file, whose directory must be there.
void check_place_of(const std::filesystem::path& file);

/// One file, whole, in a directory that is there; a pipe or a device is written in place.
void write_whole(const std::filesystem::path& file, std::string_view content);

}  // namespace cmsim
