// Files that appear whole or not at all, and several of them as one unit.
//
// What is written is staged beside its place, as kStagedPrefix<pid>-<number>, and renamed when all
// of it is there. Writers of a unit exclude each other by a lock on its directory (flock), and
// remove what a killed one staged. SIGINT, SIGTERM and SIGHUP wait while files are put in place.
// Every failure is an OutputError that names the file and the reason and leaves what was there, but
// for a rename that fails after others: then the seal is gone, and the rest is whole.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string_view>

namespace cmsim {

inline constexpr std::string_view kStagedPrefix = ".cmsim-";

struct NamedContent {
  std::string_view name;  // in the directory
  std::string_view content;
  /// What follows it: asked for when the files before are staged, and again until it is empty.
  std::function<std::string_view()> next = {};
};

/// Makes the directory when it is missing and writes the files into it. The last one seals the
/// unit: it is taken away before any of the others changes and appears after all of them, so that
/// files of two units are never seen together with it. Never holds the lock for longer than the
/// making and writing takes; gives up when another holds it for 60 s. Where the directory cannot be
/// locked (a file system without flock, a directory that may not be read), writers do not exclude
/// each other: each file is still whole, and only what a seal says of the others tells whether they
/// belong to it. `gone` names files of the unit before that this one does not have: they are taken
/// away while there is no seal.
void write_unit(const std::filesystem::path& directory, std::span<const NamedContent> files,
                std::span<const std::string_view> gone = {});

/// Whether files could be written into `directory`, which may have to be made, as far as that can
/// be seen without changing anything. Throws ConfigError: somebody has chosen the place.
void check_place(const std::filesystem::path& directory);

/// The same for a file, whose directory must be there.
void check_place_of(const std::filesystem::path& file);

/// One file, whole, in a directory that is there; a pipe or a device is written in place.
void write_whole(const std::filesystem::path& file, std::string_view content);

}  // namespace cmsim
