// Scripts by which bash, zsh and fish complete a command line of cmsim, made of the options that
// the program declares. What changes with the files there are (names, JSON pointers) the scripts
// ask the program for as one types.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace cmsim::cli {

/// What may follow an option, or stand as an argument.
enum class ValueKind {
  kNone,
  kAnything,
  kFile,
  kScenario,
  kPlatform,
  kPointer,
  kPlatformPointer,
  kChoice
};

struct OptionWords {
  std::vector<std::string> names;  // with their dashes
  std::string description;         // its first sentence
  ValueKind value = ValueKind::kNone;
  std::vector<std::string> choices;  // of kChoice
};

struct CommandWords {
  std::string name;         // "cmsim trace inspect"
  std::string description;  // its first sentence
  std::vector<OptionWords> options;
  std::vector<std::string> commands;  // that may follow
  ValueKind argument = ValueKind::kNone;
};

/// Of the program and of every command below it, outer ones first.
std::vector<CommandWords> completion_words(const CLI::App& app);

std::string bash_completion(const std::vector<CommandWords>& commands);
std::string zsh_completion(const std::vector<CommandWords>& commands);
std::string fish_completion(const std::vector<CommandWords>& commands);

}  // namespace cmsim::cli
