#include "slurm_parts.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <string_view>

#include "cmsim/study/slurm.hpp"
#include "interrupt.hpp"
#include "own_words.hpp"
#include "study_progress.hpp"
#include "terminal.hpp"

namespace cmsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostParts = 1000;

std::vector<std::string> command_of_a_part(const fs::path& directory) {
  constexpr std::array<std::string_view, 5> kOurs{"--executor", "--tasks", "--sbatch", "--jobs",
                                                  "--out"};
  constexpr std::array<std::string_view, 3> kShown{"--resume", "--json", "--quiet"};
  std::vector<std::string> words = own_words(kOurs, kShown);
  words.insert(words.begin(), fs::read_symlink("/proc/self/exe").string());
  words.insert(words.end(), {"--quiet", "--out", directory.string()});
  return words;
}

/// Parts with a point that is not done; equal points are run with the first of them.
std::vector<std::size_t> open_parts(const std::vector<study::StudyPoint>& points,
                                    const study::Store& store, std::size_t of) {
  std::set<std::string> seen;
  std::set<std::size_t> open;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!seen.insert(points[i].digest).second) continue;
    const auto kept = store.find(points[i].digest);
    if (!kept || !kept->done()) open.insert(i % of + 1);  // see in_shard()
  }
  return {open.begin(), open.end()};
}

}  // namespace

void run_on_slurm(const SlurmRequest& request, const StudyEngine& engine,
                  const std::vector<study::StudyPoint>& points, const fs::path& directory) {
  const std::size_t of = std::min(points.size(), request.tasks > 0 ? request.tasks : kMostParts);
  const auto parts = open_parts(points, study::Store(directory), of);
  const bool quiet = engine.options().quiet;
  StudyProgress progress(is_terminal(Stream::kError) && !quiet);
  study::SlurmOptions options;
  options.directory = directory;
  options.command = command_of_a_part(directory);
  std::istringstream words(request.sbatch);
  for (std::string word; words >> word;) options.sbatch.push_back(word);
  options.attempts = engine.options().retries + 1;
  options.interrupt = &interrupt_flag();
  options.on_end = [&](std::size_t) { progress.ended(true); };
  options.on_lost = [&](const std::string& what) {
    progress.clear();
    if (!quiet) say("{}\n", what);
  };
  progress.start(parts.size());
  {
    const Interruptible interruptible;
    study::run_parts_on_slurm(parts, of, options);
  }
  engine.check_interrupted(directory);
}

}  // namespace cmsim::cli
