// Help in lines that fit the terminal.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace cmsim::cli {

class HelpFormat : public CLI::Formatter {
 public:
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* sub) const override;
  /// Lines that begin with a blank or end with a colon stay as they are; the others are paragraphs.
  std::string make_footer(const CLI::App* app) const override;
};

}  // namespace cmsim::cli
