#include "cmsim/serve/request_store.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace cmsim::serve {
namespace {

TEST(RequestStore, HoldsWhatIsOpen) {
  struct Tracked {
    std::shared_ptr<int> token;
  };
  const auto token = std::make_shared<int>(1);
  RequestStore<Tracked> store(300);
  EXPECT_EQ(store.rows(), 300u);
  EXPECT_TRUE(store.is_new(299));
  for (std::size_t row = 0; row < 300; ++row) store.open(row).token = token;
  EXPECT_TRUE(store.is_open(0) && !store.is_new(0));
  EXPECT_EQ(token.use_count(), 301);
  for (std::size_t row = 0; row < 130; ++row) store.close(row);
  EXPECT_FALSE(store.is_open(0) || store.is_new(0));
  EXPECT_EQ(token.use_count(), 301 - 128);  // the first chunk has gone
  EXPECT_EQ(store[130].token, token);
}

}  // namespace
}  // namespace cmsim::serve
