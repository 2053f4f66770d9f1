#include "help_format.hpp"

#include <sstream>

#include "text_table.hpp"

namespace cmsim::cli {
namespace {

constexpr std::size_t kDescriptionColumn = 30;

/// A name, and what it is in a column of its own: beside it, or below where it is too long.
std::string help_entry(const std::string& name, const std::string& description) {
  std::string text = "  " + wrapped(name, 6, 2);
  if (description.empty()) return text + "\n";
  const bool beside = width_of(text) + 1 < kDescriptionColumn;
  const std::size_t gap = beside ? kDescriptionColumn - width_of(text) : kDescriptionColumn;
  text += (beside ? "" : "\n") + std::string(gap, ' ');
  return text + wrapped(description, kDescriptionColumn, kDescriptionColumn) + "\n";
}

}  // namespace

std::string HelpFormat::make_option(const CLI::Option* option, bool is_positional) const {
  return help_entry(make_option_name(option, is_positional) + make_option_opts(option),
                    make_option_desc(option));
}

std::string HelpFormat::make_subcommand(const CLI::App* sub) const {
  return help_entry(sub->get_display_name(true), sub->get_description());
}

std::string HelpFormat::make_footer(const CLI::App* app) const {
  std::istringstream lines(app->get_footer());
  std::string text, paragraph;
  const auto end_paragraph = [&] {
    if (!paragraph.empty()) text += wrapped(paragraph, 0) + "\n";
    paragraph.clear();
  };
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(' ') || line.ends_with(':')) {
      end_paragraph();
      text += line + "\n";
    } else {
      paragraph += line + " ";
    }
  }
  end_paragraph();
  return text;
}

}  // namespace cmsim::cli
