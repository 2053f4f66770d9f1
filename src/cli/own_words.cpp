#include "own_words.hpp"

#include <algorithm>
#include <fstream>

namespace cmsim::cli {

std::vector<std::string> own_words(std::span<const std::string_view> without,
                                   std::span<const std::string_view> without_flags) {
  std::ifstream stream("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  std::string word;
  std::getline(stream, word, '\0');  // the program
  while (std::getline(stream, word, '\0')) {
    if (std::ranges::find(without_flags, word) != without_flags.end()) continue;
    const std::string name = word.substr(0, word.find('='));
    if (std::ranges::find(without, name) == without.end()) {
      words.push_back(word);
    } else if (name == word) {
      std::getline(stream, word, '\0');  // its value
    }
  }
  return words;
}

}  // namespace cmsim::cli
