// What a child of the pool sends to its parent when a piece of work has ended. A message that was
// cut short reads as none.
#pragma once

#include <sys/resource.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "cmsim/base/process_pool.hpp"

namespace cmsim {

struct ChildAnswer {
  Ending ending;
  std::string text;
  bool stays = false;     // the process waits for another piece
  Seconds cpu = 0;        // the piece took
  Bytes peak_memory = 0;  // resident, of the process so far
};

/// User and system.
Seconds cpu_of(const rusage& use);

/// Does the piece and sends what comes out of it through the descriptor `answers`, and so with
/// those that come through `orders`, while `stays` says so after a piece. Ends the process at once,
/// without what its parent has left to be done at an exit.
[[noreturn]] void give_answers(int answers, int orders, std::size_t piece,
                               const std::function<std::string(std::size_t)>& work,
                               const std::function<bool()>& stays);

/// Tells a child that stays its next piece; false when it is gone.
bool give_order(int orders, std::size_t piece);

std::optional<ChildAnswer> read_answer(std::string_view message);

}  // namespace cmsim
