#include "cmsim/base/kept.hpp"

#include <gtest/gtest.h>

#include <string>

namespace cmsim {
namespace {

TEST(Kept, MakesWhatIsAskedForAgainOnceUntilOthersTakeItsPlace) {
  Kept<int, const std::string> kept(2);
  int made = 0;
  const auto get = [&](int key) {
    return kept.get(key, [&] {
      ++made;
      return std::make_shared<const std::string>(std::to_string(key));
    });
  };
  const auto first = get(1);
  EXPECT_EQ(*get(2), "2");
  EXPECT_EQ(get(1), first);
  EXPECT_EQ(made, 2);
  EXPECT_EQ(*get(3), "3");  // in the place of the first
  EXPECT_EQ(*get(2), "2");
  EXPECT_EQ(made, 3);
  EXPECT_EQ(*get(1), "1");
  EXPECT_EQ(made, 4);
  EXPECT_EQ(*first, "1");
}

TEST(Kept, WhatCannotBeMadeIsAskedForAgain) {
  Kept<int, const int> kept(1);
  const auto fails = []() -> std::shared_ptr<const int> { throw 1; };
  EXPECT_THROW(kept.get(1, fails), int);
  EXPECT_EQ(*kept.get(1, [] { return std::make_shared<const int>(7); }), 7);
}

}  // namespace
}  // namespace cmsim
