// What a child of the pool sends to its parent: how its work ended, in one byte, and a text.
// A message that was cut short has no last byte and reads as none.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cmsim/base/process_pool.hpp"

namespace cmsim {

struct ChildAnswer {
  Ending ending;
  std::string text;
};

/// Does the work, sends what comes out of it through the descriptor, and ends the process at once,
/// without what its parent has left to be done at an exit.
[[noreturn]] void give_answer(int descriptor, const std::function<std::string()>& work);

std::optional<ChildAnswer> read_answer(std::string_view message);

}  // namespace cmsim
