// A document, split at the first NUL from a "--set" assignment, is read or refused with a
// ConfigError.
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "cmsim/base/config.hpp"
#include "cmsim/work/workload.hpp"
#include "json_mutator.hpp"
#include "oracle.hpp"

namespace {

using cmsim::fuzz::require;
using cmsim::fuzz::Vocabulary;

constexpr std::size_t kGetters = 7;

/// Asks one getter for the key.
void ask(const cmsim::ConfigNode& node, const std::string& key, std::size_t getter) {
  switch (getter) {
    case 0:
      return require(std::isfinite(node.number(key)), "a number is finite");
    case 1: {
      const std::int64_t value = node.integer(key, -5, 5);
      return require(value >= -5 && value <= 5, "an integer is within its bounds");
    }
    case 2: {
      const double value = node.quantity(key, cmsim::Dimension::kBandwidth, 0, 1e12);
      return require(value >= 0 && value <= 1e12, "a quantity is within its bounds");
    }
    case 3:
      return (void)node.boolean(key);
    case 4:
      return (void)node.text(key);
    case 5:
      return (void)node.choice(key, {"one", "two"});
    default:
      for (const auto& element : node.elements(key)) element.close();
  }
}

/// Asks two getters for every key of the node, then goes on below it. Which two depends on `salt`:
/// most of them throw, which would take most of an execution if all were asked.
void visit(const cmsim::ConfigNode& node, int depth, std::size_t salt) {
  const auto attempt = [](auto&& get) {
    try {
      get();
    } catch (const cmsim::ConfigError& error) {
      cmsim::fuzz::check_message(error);
    }
  };
  for (const std::string& key : node.keys()) {
    ++salt;
    attempt([&] { ask(node, key, salt % kGetters); });
    attempt([&] { ask(node, key, (salt + 3) % kGetters); });
    if (depth < 4 && node.raw().at(key).is_object()) {
      attempt([&] { visit(node.child(key), depth + 1, salt); });
    }
  }
  attempt([&] { node.close(); });
}

const Vocabulary& vocabulary() {
  static const Vocabulary kVocabulary = [] {
    Vocabulary made;
    made.add_example(nlohmann::json::parse(R"({
      "time_scale": 2, "requests": 10, "prompt_length": 4096, "max_requests": 5, "start": "1s",
      "arrivals": {"kind": "poisson", "rate": {"value": "12/s", "source": "x"}, "burstiness": 0.5},
      "kind": "one", "width": "28GB/s", "list": [1, {"a": null}, true]})"));
    return made;
  }();
  return kVocabulary;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = cmsim::fuzz::text_of(data, size);
  const std::size_t split = input.find('\0');
  try {
    auto document = cmsim::ConfigDocument::from_text(input.substr(0, split), "fuzz.json");
    if (split != std::string_view::npos) document.apply_set(std::string(input.substr(split + 1)));
    visit(cmsim::ConfigNode(document), 0, std::hash<std::string_view>()(input));
    cmsim::work::read_workload(cmsim::ConfigNode(document));
  } catch (const cmsim::ConfigError& error) {
    cmsim::fuzz::check_message(error);
  }
  return 0;
}

/// Either side of the NUL is changed; a document without one may get an assignment.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  const std::string input(cmsim::fuzz::text_of(data, size));
  if (size + 1 >= max_size) return LLVMFuzzerMutate(data, size, max_size);
  const std::size_t split = std::min(input.find('\0'), size);
  if (seed % 2 == 1 || (split == size && seed % 4 == 0)) {
    const std::string rest = input.substr(split);
    const std::size_t changed =
        cmsim::fuzz::mutate_document(vocabulary(), data, split, max_size - rest.size(), seed / 4);
    std::copy(rest.begin(), rest.end(), data + changed);
    return changed + rest.size();
  }
  data[split] = 0;
  const std::size_t begin = split + 1, length = size - std::min(size, begin);
  return begin +
         cmsim::fuzz::mutate_lines(vocabulary(), data + begin, length, max_size - begin, seed / 4);
}
