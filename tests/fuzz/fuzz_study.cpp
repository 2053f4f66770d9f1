// A study file is a Validation whose rows can be run, judged and printed, or a ConfigError.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <string>

#include "cli/validation.hpp"
#include "formats.hpp"
#include "oracle.hpp"

namespace {

using cmsim::fuzz::require;
namespace cli = cmsim::cli;

/// A file in memory with a path, overwritten for each input.
class MemoryFile {
 public:
  MemoryFile() : file_(memfd_create("study", 0)) { require(file_ >= 0, "memfd_create works"); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(file_); }

  std::string holding(const std::uint8_t* data, std::size_t size) const {
    require(ftruncate(file_, static_cast<off_t>(size)) == 0 &&
                pwrite(file_, data, size, 0) == static_cast<ssize_t>(size),
            "the file is written");
    return "/proc/self/fd/" + std::to_string(file_);
  }

 private:
  int file_;
};

/// A pointer is one, so that looking a figure up cannot throw.
void check_metric(const std::string& metric) {
  try {
    (void)nlohmann::json::json_pointer(metric);
  } catch (const nlohmann::json::exception&) {
    require(false, "a metric is a JSON pointer");
  }
}

void check(cli::Validation& validation) {
  for (cli::ValidationRow& row : validation.rows) {
    require(!row.command.empty(), "a row has a command");
    require(std::isfinite(row.published) && row.published != 0, "a published figure is not 0");
    require(!row.tolerance || (*row.tolerance >= 0 && *row.tolerance <= 10),
            "a tolerance is 0 to 10");
    check_metric(row.metric);
    row.ours = row.published;
    require(row.holds() && row.error() == 0, "the published figure holds its own row");
  }
  for (cli::Ablation& ablation : validation.ablations) {
    require(!ablation.command.empty() && !ablation.baseline.empty(), "an ablation has commands");
    check_metric(ablation.metric);
    ablation.ours = ablation.without = 1;
  }
  require(!cli::validation_table(validation).empty(), "the table is printed");
  require(!cli::validation_markdown(validation).empty(), "the page is printed");
  require(!cli::validation_json(validation).empty(), "the JSON is printed");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile kFile;
  try {
    cli::Validation validation = cli::load_validation(kFile.holding(data, size));
    check(validation);
  } catch (const cmsim::ConfigError& error) {
    cmsim::fuzz::check_message(error);
  }
  return 0;
}

CMSIM_FUZZ_DOCUMENTS(cmsim::fuzz::study_vocabulary())
