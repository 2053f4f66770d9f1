// How a plan runs a decode layer: its stages on servers, in program order. Internal to
// DecodePipeline.
#pragma once

#include <array>
#include <span>

namespace cmsim::model {

enum class Stage { kAttention, kGate, kDispatch, kExperts, kCombine, kDenseFfn };

/// Stages that one server runs in a row. After a dispatch and after a combine, which come last in a
/// block, all ranks have waited for the slowest.
struct Block {
  int server = 0;
  std::array<Stage, 3> stages{};
  int count = 0;

  // Whether it has stages that are the rank's own, and which of the others.
  bool owns = false, dispatches = false, computes = false, combines = false;

  constexpr bool has(Stage stage) const {
    for (int i = 0; i < count; ++i) {
      if (stages[static_cast<std::size_t>(i)] == stage) return true;
    }
    return false;
  }
  constexpr bool is_barrier() const { return dispatches || combines; }
};

template <class... Stages>
constexpr Block block(int server, Stages... stages) {
  Block made{server, {stages...}, sizeof...(stages)};
  made.owns = made.has(Stage::kAttention) || made.has(Stage::kGate) || made.has(Stage::kDenseFfn);
  made.dispatches = made.has(Stage::kDispatch);
  made.computes = made.has(Stage::kExperts);
  made.combines = made.has(Stage::kCombine);
  return made;
}

/// Every microbatch runs the blocks of the first phase, then every one those of the second.
struct LayerProgram {
  static constexpr int kMostBlocks = 4;
  std::array<Block, kMostBlocks> blocks{};
  int first = 0;  // blocks of the first phase
  int count = 0;

  std::span<const Block> all() const {
    return std::span(blocks).first(static_cast<std::size_t>(count));
  }
};

struct DecodeProgram {
  LayerProgram moe, dense;
  std::array<const char*, 4> servers{};  // their names
  bool shares_hbm = false;               // servers 0 and 1 run side by side on the same die
};

/// One stream with all cores.
inline constexpr DecodeProgram kOneStream{
    .moe = {{block(0, Stage::kAttention, Stage::kGate, Stage::kDispatch),
             block(0, Stage::kExperts, Stage::kCombine)},
            2,
            2},
    .dense = {{block(0, Stage::kAttention, Stage::kDenseFfn)}, 1, 1},
    .servers = {"stream 0"}};

/// Attention of one microbatch beside the experts and exchanges of another, each with its cores.
inline constexpr DecodeProgram kTwoStreams{
    .moe = {{block(0, Stage::kAttention), block(1, Stage::kGate, Stage::kDispatch),
             block(1, Stage::kExperts, Stage::kCombine)},
            3,
            3},
    .dense = {{block(0, Stage::kAttention), block(1, Stage::kDenseFfn)}, 2, 2},
    .servers = {"stream 0", "stream 1"},
    .shares_hbm = true};

/// Exchanges hold no cores: every operator has all of them, in the order attention 0, 1, experts 0,
/// 1, and the exchanges of one microbatch run beside the operators of the other.
inline constexpr DecodeProgram kExchangesBeside{
    .moe = {{block(0, Stage::kAttention, Stage::kGate), block(1, Stage::kDispatch),
             block(0, Stage::kExperts), block(1, Stage::kCombine)},
            2,
            4},
    .dense = {{block(0, Stage::kAttention, Stage::kDenseFfn)}, 1, 1},
    .servers = {"stream 0", "stream 1"}};

/// Attention and experts on dies of their own: the microbatches go round, and the way there and the
/// way back are two directions of the wires.
inline constexpr DecodeProgram kDisaggregated{
    .moe = {{block(0, Stage::kAttention, Stage::kGate), block(1, Stage::kDispatch),
             block(2, Stage::kExperts), block(3, Stage::kCombine)},
            2,
            4},
    .dense = {{block(0, Stage::kAttention, Stage::kDenseFfn)}, 1, 1},
    .servers = {"attention", "dispatch", "experts", "combine"}};

}  // namespace cmsim::model
