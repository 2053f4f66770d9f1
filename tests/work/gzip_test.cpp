#include "cmsim/work/gzip.hpp"

#include <gtest/gtest.h>

#include "src/work/input_stream.hpp"

namespace cmsim::work {
namespace {

TEST(Gzip, IsReadBackAsItWas) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += std::to_string(i * i);
  const std::string packed = gzip(text);
  EXPECT_LT(packed.size(), text.size() / 2);
  InputStream input(packed, "packed");
  EXPECT_EQ(input.read(text.size() + 1), text);
  EXPECT_EQ(gzip(text), packed);
}

}  // namespace
}  // namespace cmsim::work
