#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "calibration.hpp"
#include "cmsim/base/json_text.hpp"
#include "commands.hpp"
#include "study_engine.hpp"
#include "terminal.hpp"
#include "validation.hpp"

namespace cmsim::cli {
namespace {

struct ValidateCommand {
  std::string file, only;
  bool json = false, markdown = false, require = false, cross_validate = false;
  int jobs = default_jobs();
};

void keep_matching(Validation& validation, const std::string& text) {
  const auto misses = [&](const auto& row) { return row.id.find(text) == std::string::npos; };
  std::erase_if(validation.rows, misses);
  std::erase_if(validation.ablations, misses);
  if (validation.rows.empty() && validation.ablations.empty()) {
    throw ConfigError(fmt::format("--only {}: no row has an id that contains it", text));
  }
}

/// How well the parameters are known, in the format that is asked for.
std::string calibration_text(const ValidateCommand& command, const Validation& validation,
                             const serve::PolicyRegistry& registry) {
  const Calibration calibration = cross_validate(validation, registry, command.jobs);
  if (command.json) return json_text(calibration_json(calibration)) + "\n";
  return command.markdown ? calibration_markdown(calibration) : calibration_table(calibration);
}

int validate(const ValidateCommand& command, const serve::PolicyRegistry& registry) {
  Validation validation = load_validation(
      command.file.empty() ? default_validation_file() : std::filesystem::path(command.file));
  if (!command.only.empty()) keep_matching(validation, command.only);
  if (command.cross_validate) validation.ablations.clear();  // none is shown
  run_validation(validation, registry, command.jobs);
  print_text(command.cross_validate ? calibration_text(command, validation, registry)
             : command.json         ? validation_json(validation)
             : command.markdown     ? validation_markdown(validation)
                                    : validation_table(validation));
  if (!command.require) return kOk;
  flush_results();
  const std::string missed = validation_misses(validation);
  say_text(missed);
  return missed.empty() ? kOk : kCheckFailed;
}

}  // namespace

void add_validate(CLI::App& app, Session& session) {
  const auto command = std::make_shared<ValidateCommand>();
  CLI::App* sub = app.add_subcommand("validate", "Published figures beside ours, with every error");
  sub->add_option("FILE", command->file, "Rows to check [workloads/studies/published.json]");
  sub->add_option("--only", command->only, "Only rows whose id contains this text");
  sub->add_option("--jobs", command->jobs, "Processes at a time [processors of this machine]")
      ->transform(whole_from(1, 256));
  CLI::Option* json = sub->add_flag("--json", command->json, "Print JSON and nothing else");
  sub->add_flag("--markdown", command->markdown, "Print docs/validation.md")->excludes(json);
  sub->add_flag("--require", command->require,
                "Exit with 1 when a row leaves its tolerance, and name it");
  sub->add_flag("--cross-validate", command->cross_validate,
                "Leave each calibrated row out, fit the free parameters to the others and predict "
                "it");
  sub->footer(
      "Examples:\n"
      "  cmsim validate\n"
      "  cmsim validate --only dispatch --require\n"
      "  cmsim validate --markdown > docs/validation.md\n"
      "  cmsim validate --cross-validate --markdown > docs/calibration.md\n");
  sub->callback([&session, command] {
    session.action = [&session, command] { return validate(*command, session.registry); };
  });
}

}  // namespace cmsim::cli
