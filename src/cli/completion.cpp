#include "completion.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "usage.hpp"

namespace cmsim::cli {
namespace {

/// Up to a full stop before a capital, or a colon.
std::string first_sentence(const std::string& text) {
  std::size_t end = std::min(text.find(':'), text.size());
  for (std::size_t at = text.find(". "); at < end; at = text.find(". ", at + 1)) {
    if (at + 2 < text.size() && std::isupper(static_cast<unsigned char>(text[at + 2]))) end = at;
  }
  return text.substr(0, end);
}

std::vector<std::string> split_at(const std::string& text, char delimiter) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == delimiter) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// "TEXT:{a,b}" and "a|b", the two ways in which types list what is allowed.
std::vector<std::string> choices_in(const std::string& type) {
  const std::size_t open = type.find('{'), close = type.find('}');
  if (open != std::string::npos && close != std::string::npos) {
    return split_at(type.substr(open + 1, close - open - 1), ',');
  }
  const bool plain = std::ranges::all_of(type, [](char c) {
    return c == '|' || c == '_' || std::islower(static_cast<unsigned char>(c)) ||
           std::isdigit(static_cast<unsigned char>(c));
  });
  return plain && type.find('|') != std::string::npos ? split_at(type, '|')
                                                      : std::vector<std::string>{};
}

ValueKind kind_of_value(const CLI::Option& option) {
  if (option.get_items_expected_max() == 0) return ValueKind::kNone;
  const std::string type = option.get_type_name();
  if (type.starts_with("/POINTER")) return ValueKind::kPointer;
  if (!choices_in(type).empty()) return ValueKind::kChoice;
  for (const char* file : {"FILE", "DIR", "PROGRAM"}) {
    if (type.find(file) != std::string::npos) return ValueKind::kFile;
  }
  return ValueKind::kAnything;
}

OptionWords words_of(const CLI::Option& option) {
  OptionWords words;
  for (const std::string& name : option.get_snames()) words.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.names.push_back("--" + name);
  words.description = first_sentence(option.get_description());
  words.value = kind_of_value(option);
  words.choices = choices_in(option.get_type_name());
  return words;
}

/// Arguments have names that say what they are.
ValueKind kind_of_argument(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const std::string& name = option->get_name(true);
    if (name == "SCENARIO" || name == "STUDY") return ValueKind::kScenario;
    if (name == "PLATFORM") return ValueKind::kPlatform;
    return ValueKind::kFile;
  }
  return ValueKind::kNone;
}

void collect(const CLI::App& app, const std::string& name, std::vector<CommandWords>& into) {
  CommandWords words{name, first_sentence(app.get_description()), {}, {}, kind_of_argument(app)};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->nonpositional()) continue;
    OptionWords& added = words.options.emplace_back(words_of(*option));
    const bool of_platform = words.argument == ValueKind::kPlatform;
    if (added.value == ValueKind::kPointer && of_platform)
      added.value = ValueKind::kPlatformPointer;
  }
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* sub : commands) words.commands.push_back(sub->get_name());
  into.push_back(std::move(words));
  for (const CLI::App* sub : commands) collect(*sub, name + " " + sub->get_name(), into);
}

std::string single_quoted(std::string text) {
  for (std::size_t at = text.find('\''); at != std::string::npos; at = text.find('\'', at + 4)) {
    text.replace(at, 1, "'\\''");
  }
  return "'" + text + "'";
}

/// "cmsim trace"|"cmsim trace inspect", of all commands below the program.
std::string command_pattern(const std::vector<CommandWords>& commands) {
  std::vector<std::string> names;
  for (const CommandWords& command : commands) {
    if (command.name.find(' ') != std::string::npos) names.push_back('"' + command.name + '"');
  }
  return fmt::format("{}", fmt::join(names, "|"));
}

/// Calls take(command, option, name) for each name of an option with a value. Options of the
/// program may stand after a command as well.
template <class Take>
void each_valued(const std::vector<CommandWords>& commands, const Take& take) {
  for (const CommandWords& command : commands) {
    for (const CommandWords* of : {&command, &commands.front()}) {
      for (const OptionWords& option : of->options) {
        if (option.value == ValueKind::kNone) continue;
        for (const std::string& name : option.names) take(command, option, name);
      }
      if (of == &commands.front() || &command == &commands.front()) break;
    }
  }
}

/// The branches of a shell's case over "command option", alike ones together; `action` is what to
/// do for a value.
template <class Action>
std::string value_cases(const std::vector<CommandWords>& commands, const Action& action) {
  std::map<std::string, std::vector<std::string>> by_action;
  each_valued(commands,
              [&](const CommandWords& command, const OptionWords& option, const std::string& name) {
                by_action[action(option)].push_back('"' + command.name + " " + name + '"');
              });
  std::string text;
  for (const auto& [done, patterns] : by_action) {
    text += fmt::format("    {})\n      {} ;;\n", fmt::join(patterns, "|"), done);
  }
  return text;
}

std::string names_of(const CommandWords& command) {
  std::vector<std::string> names;
  for (const OptionWords& option : command.options) {
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return fmt::format("{}", fmt::join(names, " "));
}

/// What the program is asked for to complete a value.
const char* question_of(ValueKind value) {
  switch (value) {
    case ValueKind::kScenario:
      return "scenarios";
    case ValueKind::kPlatform:
      return "platforms";
    case ValueKind::kPointer:
      return "pointers";
    case ValueKind::kPlatformPointer:
      return "platform-pointers";
    default:
      return "";
  }
}

bool asks(ValueKind argument) { return *question_of(argument) != '\0'; }

std::string bash_value(const OptionWords& option) {
  switch (option.value) {
    case ValueKind::kFile:
      return "compopt -o default; return";
    case ValueKind::kPointer:
    case ValueKind::kPlatformPointer:
      return fmt::format("_cmsim_pointers {}; return", question_of(option.value));
    case ValueKind::kChoice:
      return fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$cur\")); return",
                         fmt::join(option.choices, " "));
    default:
      return "return";
  }
}

std::string zsh_value(const OptionWords& option) {
  switch (option.value) {
    case ValueKind::kFile:
      return "_files; return";
    case ValueKind::kPointer:
    case ValueKind::kPlatformPointer:
      return fmt::format(
          "compadd -S '' -- ${{(f)\"$(cmsim completion {} $words[3] 2>/dev/null)\"}}; return",
          question_of(option.value));
    case ValueKind::kChoice:
      return fmt::format("compadd -- {}; return", fmt::join(option.choices, " "));
    default:
      return "return";
  }
}

/// "name:description", of which _describe makes two columns.
std::string zsh_entry(const std::string& name, const std::string& description) {
  return single_quoted(description.empty() ? name : name + ":" + description);
}

std::string zsh_branch(const CommandWords& command, const std::vector<CommandWords>& commands) {
  std::string options, subs;
  for (const OptionWords& option : command.options) {
    for (const std::string& name : option.names) {
      options += " " + zsh_entry(name, option.description);
    }
  }
  for (const CommandWords& other : commands) {
    const std::size_t last = other.name.rfind(' ');
    if (last == std::string::npos || other.name.substr(0, last) != command.name) continue;
    subs += " " + zsh_entry(other.name.substr(last + 1), other.description);
  }
  return fmt::format("    \"{}\") options=({}) subs=({}) names={} ;;\n", command.name, options,
                     subs, question_of(command.argument));
}

std::string fish_condition(const CommandWords& command) {
  if (command.name.find(' ') == std::string::npos) return "__fish_use_subcommand";
  std::string condition;
  for (const std::string& word : split_at(command.name.substr(command.name.find(' ') + 1), ' ')) {
    condition += (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + word);
  }
  if (command.commands.empty()) return condition;
  return fmt::format("{}; and not __fish_seen_subcommand_from {}", condition,
                     fmt::join(command.commands, " "));
}

std::string fish_value(const OptionWords& option) {
  switch (option.value) {
    case ValueKind::kNone:
      return "";
    case ValueKind::kFile:
      return " -r -F";
    case ValueKind::kPointer:
    case ValueKind::kPlatformPointer:
      return fmt::format(" -x -a '(cmsim completion {} (commandline -opc)[3] 2>/dev/null)'",
                         question_of(option.value));
    case ValueKind::kChoice:
      return fmt::format(" -x -a '{}'", fmt::join(option.choices, " "));
    default:
      return " -x";
  }
}

std::string fish_lines(const CommandWords& command, const std::vector<CommandWords>& commands) {
  const std::string begin = "complete -c cmsim -n " + single_quoted(fish_condition(command));
  std::string text;
  for (const OptionWords& option : command.options) {
    text += begin;
    for (const std::string& name : option.names) {
      text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    text += fish_value(option) + " -d " + single_quoted(option.description) + "\n";
  }
  for (const CommandWords& other : commands) {
    const std::size_t last = other.name.rfind(' ');
    if (last == std::string::npos || other.name.substr(0, last) != command.name) continue;
    text += begin + " -f -a " + other.name.substr(last + 1) + " -d " +
            single_quoted(other.description) + "\n";
  }
  if (asks(command.argument)) {
    text += begin + fmt::format(" -a '(cmsim completion {})'\n", question_of(command.argument));
  }
  return text;
}

}  // namespace

std::vector<CommandWords> completion_words(const CLI::App& app) {
  std::vector<CommandWords> commands;
  collect(app, app.get_name(), commands);
  return commands;
}

std::string bash_completion(const std::vector<CommandWords>& commands) {
  std::string branches;
  for (const CommandWords& command : commands) {
    branches += fmt::format("    \"{}\") options=\"{}\" words=\"{} {}\" ;;\n", command.name,
                            names_of(command), fmt::join(command.commands, " "),
                            asks(command.argument) ? fmt::format("$(cmsim completion {})",
                                                                 question_of(command.argument))
                                                   : "");
  }
  return fmt::format(R"sh(# bash completion of cmsim: source <(cmsim completion bash)
_cmsim_pointers() {{
  # bash takes = for the end of a word: /a/b = value are three.
  local pointer= all
  [[ $cur == "=" ]] && pointer=${{COMP_WORDS[COMP_CWORD - 1]}} cur=
  [[ ${{COMP_WORDS[COMP_CWORD - 1]}} == "=" ]] && pointer=${{COMP_WORDS[COMP_CWORD - 2]}}
  all=$(cmsim completion "$1" "${{COMP_WORDS[2]}}" 2>/dev/null)
  if [[ -n $pointer ]]; then
    COMPREPLY=($(compgen -W "$(sed -n "s|^$pointer=||p" <<<"$all")" -- "$cur"))
  else
    COMPREPLY=($(compgen -S = -W "$(sed 's|=.*||' <<<"$all" | sort -u)" -- "$cur"))
    compopt -o nospace
  fi
}}
_cmsim() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command=cmsim i
  local options= words=
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case "$command ${{COMP_WORDS[i]}}" in
    {}) command+=" ${{COMP_WORDS[i]}}" ;;
    esac
  done
  if [[ $cur == "=" ]]; then prev=${{COMP_WORDS[COMP_CWORD - 2]}}
  elif [[ $prev == "=" ]]; then prev=${{COMP_WORDS[COMP_CWORD - 3]}}; fi
  case "$command $prev" in
{}  esac
  case "$command" in
{}  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    compopt -o default
  fi
}}
complete -F _cmsim cmsim
)sh",
                     command_pattern(commands), value_cases(commands, bash_value), branches);
}

std::string zsh_completion(const std::vector<CommandWords>& commands) {
  std::string branches;
  for (const CommandWords& command : commands) branches += zsh_branch(command, commands);
  return fmt::format(R"sh(#compdef cmsim
# zsh completion of cmsim: cmsim completion zsh > ~/.zfunc/_cmsim, with ~/.zfunc in fpath
_cmsim() {{
  local command=cmsim names= i
  local -a options subs
  for ((i = 2; i < CURRENT; ++i)); do
    case "$command $words[i]" in
    {}) command+=" $words[i]" ;;
    esac
  done
  case "$command $words[CURRENT-1]" in
{}  esac
  case "$command" in
{}  esac
  if [[ $words[CURRENT] == -* ]]; then
    _describe option options
    return
  fi
  (( $#subs )) && _describe command subs && return
  [[ -n $names ]] && compadd -- ${{(f)"$(cmsim completion $names)"}}
  _files
}}
if [[ $funcstack[1] == _cmsim ]]; then _cmsim "$@"; else compdef _cmsim cmsim; fi
)sh",
                     command_pattern(commands), value_cases(commands, zsh_value), branches);
}

std::string fish_completion(const std::vector<CommandWords>& commands) {
  std::string text =
      "# fish completion of cmsim: cmsim completion fish > ~/.config/fish/completions/cmsim.fish\n"
      "complete -c cmsim -n __fish_use_subcommand -f\n";
  for (const CommandWords& command : commands) text += fish_lines(command, commands);
  return text;
}

}  // namespace cmsim::cli
