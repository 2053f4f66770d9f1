#include "embedded.hpp"

// The assembler takes the files in as they are; the build says where they lie.
#define CMSIM_EMBED(name, file)                                                       \
  asm(".pushsection .rodata\n"                                                        \
      ".global cmsim_" #name "\n.global cmsim_" #name                                 \
      "_end\n"                                                                        \
      "cmsim_" #name ":\n.incbin \"" file "\"\ncmsim_" #name "_end:\n.popsection\n"); \
  extern "C" const char cmsim_##name[], cmsim_##name##_end[]

CMSIM_EMBED(page_template, CMSIM_PAGE_TEMPLATE);
CMSIM_EMBED(page_style, CMSIM_PAGE_STYLE);
CMSIM_EMBED(page_script, CMSIM_PAGE_SCRIPT);
CMSIM_EMBED(chart_library, CMSIM_CHART_LIBRARY);

namespace cmsim::report {

std::string_view page_template() { return {cmsim_page_template, cmsim_page_template_end}; }
std::string_view page_style() { return {cmsim_page_style, cmsim_page_style_end}; }
std::string_view page_script() { return {cmsim_page_script, cmsim_page_script_end}; }
std::string_view chart_library() { return {cmsim_chart_library, cmsim_chart_library_end}; }

}  // namespace cmsim::report
