// Any JSON is a result whose figures can be compared with those of an example, or a ConfigError.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "cmsim/base/config.hpp"
#include "cmsim/check/difference.hpp"
#include "cmsim/check/difference_text.hpp"
#include "formats.hpp"
#include "oracle.hpp"

namespace {

using cmsim::fuzz::json;
using cmsim::fuzz::require;
namespace check = cmsim::check;

constexpr std::array kExamples{"run", "step", "coll", "p2p"};

json example(std::size_t i) {
  return cmsim::fuzz::read_shipped(std::string("tests/fuzz/corpus/result/") + kExamples[i] +
                                   ".json");
}

cmsim::fuzz::Vocabulary result_vocabulary() {
  cmsim::fuzz::Vocabulary vocabulary;
  for (std::size_t i = 0; i < kExamples.size(); ++i) vocabulary.add_example(example(i));
  return vocabulary;
}

check::Figures figures(const json& result) {
  const check::Kind kind = check::kind_of(result, "fuzz.json");
  return check::figures_of(result, kind, check::headlines(kind));
}

void compare(const check::Figures& old, const check::Figures& now) {
  const check::Difference found = check::difference_of(old, now, check::headlines(old.kind));
  require(!check::difference_text(found).empty(), "a comparison says something");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::array<check::Figures, 4> kKnown{figures(example(0)), figures(example(1)),
                                                    figures(example(2)), figures(example(3))};
  try {
    const auto document =
        cmsim::ConfigDocument::from_text(cmsim::fuzz::text_of(data, size), "fuzz.json");
    const check::Figures now = figures(document.value());
    for (const check::Figures& known : kKnown) {
      if (known.kind != now.kind) continue;
      compare(known, now);
      compare(now, known);
    }
  } catch (const cmsim::ConfigError& error) {
    cmsim::fuzz::check_message(error);
  }
  return 0;
}

CMSIM_FUZZ_DOCUMENTS(result_vocabulary())
