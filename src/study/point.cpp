#include "cmsim/study/point.hpp"

#include <string_view>

namespace cmsim::study {
std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::vector<std::string> words_in(const std::string& line) {
  std::vector<std::string> words;
  bool quoted = false, inside = false;  // a word may be empty: ''
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line[at] == ' ' && !quoted) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    if (line[at] == '\'') {
      quoted = !quoted;
    } else {
      if (line[at] == '\\' && !quoted && at + 1 < line.size()) ++at;
      words.back() += line[at];
    }
  }
  return words;
}

std::vector<std::string> words_of(const Point& point) {
  std::vector<std::string> words{point.command, point.file.string()};
  words.insert(words.end(), point.options.begin(), point.options.end());
  for (const std::string& set : point.sets) words.insert(words.end(), {"--set", set});
  if (point.seed) {
    // Those that measure an operator have no scenario to set a seed in.
    if (point.command == "run" || point.command == "collective") {
      words.insert(words.end(), {"--seed", std::to_string(*point.seed)});
    } else if (point.command == "step") {
      words.insert(words.end(), {"--set", "/seed=" + std::to_string(*point.seed)});
    }
  }
  return words;
}

std::string spelled(const Point& point) {
  std::string text = "cmsim";
  for (const std::string& word : words_of(point)) text += " " + shell_word(word);
  return text;
}

std::vector<std::string> all_sets(const Point& point) {
  std::vector<std::string> sets = point.sets;
  if (point.seed) sets.push_back("/seed=" + std::to_string(*point.seed));
  return sets;
}

}  // namespace cmsim::study
