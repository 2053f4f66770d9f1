#include "src/model/critical_path.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace cmsim::model {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

StepSlice slice(std::string name, std::string track, Seconds start, Seconds duration, int layer = 0,
                int microbatch = 0) {
  return {std::move(name), std::move(track), start, duration, layer, microbatch};
}

TEST(CriticalPath, AddsUpByNameInTheOrderOfTime) {
  EXPECT_THAT(critical_path({slice("a", "x", 0, 1), slice("b", "x", 1, 2), slice("a", "x", 3, 4)}),
              ElementsAre(Pair("a", 5), Pair("b", 2)));
}

TEST(CriticalPath, WaitsForItsTrackOrItsMicrobatchAlone) {
  EXPECT_THAT(critical_path({slice("other", "y", 0, 3, 0, 1), slice("own", "x", 0, 2, 0, 0),
                             slice("last", "x", 3, 1, 0, 0)}),
              ElementsAre(Pair("own", 2), Pair("(waiting)", 1), Pair("last", 1)));
  // Before the layers and after them all wait for each other.
  EXPECT_THAT(critical_path({slice("other", "y", 0, 3, 0, 1), slice("own", "x", 0, 2, 0, 0),
                             slice("last", "x", 3, 1, -1, 0)}),
              ElementsAre(Pair("other", 3), Pair("last", 1)));
}

TEST(CriticalPath, OfNoTimeIsOnItToo) {
  EXPECT_THAT(
      critical_path({slice("a", "x", 0, 1), slice("none", "x", 1, 0), slice("b", "x", 1, 1)}),
      ElementsAre(Pair("a", 1), Pair("b", 1)));
  EXPECT_THAT(critical_path({slice("none", "x", 0, 0), slice("none too", "x", 0, 0)}),
              ElementsAre(Pair("none", 0)));
  EXPECT_THAT(critical_path({}), ElementsAre());
}

// Slice by slice over all that come before.
std::vector<std::string> names_walked(const std::vector<StepSlice>& slices) {
  const auto latest = [&](std::size_t before, const auto& may) {
    std::size_t found = slices.size();
    for (std::size_t i = 0; i < before; ++i) {
      const auto end = [&](std::size_t at) { return slices[at].start + slices[at].duration; };
      if (may(slices[i]) && (found == slices.size() || end(i) > end(found))) found = i;
    }
    return found;
  };
  std::vector<std::string> names;
  std::size_t at = latest(slices.size(), [](const StepSlice&) { return true; });
  while (at < slices.size()) {
    const StepSlice& of = slices[at];
    names.insert(names.begin(), of.name);
    at = latest(at, [&](const StepSlice& other) {
      return other.start + other.duration <= of.start + 1e-9 &&
             (other.track == of.track || other.microbatch == of.microbatch);
    });
  }
  return names;
}

TEST(CriticalPath, OfDrawnSlicesIsTheOneFoundByComparingAll) {
  std::mt19937 engine(1);
  const auto draw = [&](int below) { return static_cast<int>(engine() % below); };
  for (int turn = 0; turn < 200; ++turn) {
    std::vector<StepSlice> slices;
    for (int i = 0; i < 40; ++i) {
      slices.push_back(
          slice(std::to_string(i), std::string(1, "xyz"[draw(3)]), i / 4, draw(4), 0, draw(2)));
    }
    std::vector<std::string> names;
    for (const auto& [name, time] : critical_path(slices)) {
      if (name != "(waiting)") names.push_back(name);
    }
    EXPECT_EQ(names, names_walked(slices));
  }
}

}  // namespace
}  // namespace cmsim::model
