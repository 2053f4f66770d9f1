// What a page is made of, as it lies in src/report/page/ and in the library of charts; in the
// program since it was built.
#pragma once

#include <string_view>

namespace cmsim::report {

std::string_view page_template();
std::string_view page_style();
std::string_view page_script();
std::string_view chart_library();

}  // namespace cmsim::report
