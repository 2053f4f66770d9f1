#include "shard_note.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "own_words.hpp"
#include "study_engine.hpp"
#include "study_report.hpp"

namespace cmsim::cli {
namespace {

study::Table part_of(const study::Table& table, const study::Shard& shard) {
  study::Table part = table;
  part.points.clear();
  part.outcomes.clear();
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    if (!study::in_shard(i, shard)) continue;
    part.points.push_back(table.points[i]);
    part.outcomes.push_back(table.outcomes[i]);
  }
  return part;
}

}  // namespace

std::string shard_note(const study::Shard& shard, const std::filesystem::path& directory) {
  std::string command = "cmsim";
  bool has_out = false;
  constexpr std::array<std::string_view, 1> kShard{"--shard"};
  for (const std::string& word : own_words(kShard)) {
    command += " " + study::shell_word(word);
    has_out = has_out || word.starts_with("--out");
  }
  if (!has_out) command += " --out " + study::shell_word(directory.string());
  return fmt::format(
      "part {} of {} is in {}; all parts, by GNU parallel:\n"
      "  parallel {} --shard {{}}/{} ::: $(seq {})\n"
      "by MPI (Open MPI; with another one its own two variables):\n"
      "  mpirun -n {} sh -c '{} --shard $((OMPI_COMM_WORLD_RANK + 1))/$OMPI_COMM_WORLD_SIZE'\n"
      "and then the tables of all of them:\n"
      "  {} --gather\n",
      shard.number, shard.of, directory.string(), command, shard.of, shard.of, shard.of, command,
      command);
}

std::string failures_of_shard(const study::Table& table, const study::Shard& shard) {
  return failures_report(part_of(table, shard));
}

int exit_code_of_shard(const study::Table& table, const study::Shard& shard) {
  return exit_code_of(part_of(table, shard));
}

}  // namespace cmsim::cli
