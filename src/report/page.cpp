#include "cmsim/report/page.hpp"

#include <map>

#include "cmsim/base/error.hpp"
#include "cmsim/base/utf8.hpp"
#include "cmsim/base/version.hpp"
#include "cmsim/hw/graph_files.hpp"
#include "embedded.hpp"

namespace cmsim::report {
namespace {

using Json = nlohmann::ordered_json;

/// JSON within a script element: nothing in it can end the element or open a comment.
std::string data_text(std::span<const Source> sources) {
  Json data{{"version", kVersion}, {"sources", Json::array()}};
  for (const Source& source : sources) data["sources"].push_back(source.data);
  const std::string json = data.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string text;
  text.reserve(json.size());
  for (const char c : json) c == '<' ? text += "\\u003c" : text += c;
  return text;
}

std::string title_of(std::span<const Source> sources) {
  std::string title;
  for (const Source& source : sources) {
    title += (title.empty() ? "" : ", ") + source.data.at("name").get<std::string>();
  }
  return hw::xml_escaped(title + " - cmsim report");
}

/// Kept as text until somebody looks at it; a drawing escapes the names in it, so that none ends
/// the element.
std::string drawings_of(std::span<const Source> sources) {
  std::string text;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].drawing.empty()) continue;
    text += "<script type=\"image/svg+xml\" id=\"drawing-" + std::to_string(i) + "\">" +
            sources[i].drawing + "</script>\n";
  }
  return text;
}

/// The template with every {{name}} replaced.
std::string filled(std::string_view form,
                   const std::map<std::string_view, std::string_view>& parts) {
  std::string text;
  for (std::size_t at = 0; at < form.size();) {
    const std::size_t open = form.find("{{", at);
    text += form.substr(at, open - at);
    if (open == std::string_view::npos) break;
    const std::size_t close = form.find("}}", open);
    text += parts.at(form.substr(open + 2, close - open - 2));
    at = close + 2;
  }
  return text;
}

}  // namespace

std::string page(std::span<const Source> sources) {
  const std::string title = title_of(sources), data = data_text(sources),
                    drawings = drawings_of(sources);
  return filled(page_template(), {{"title", title},
                                  {"style", page_style()},
                                  {"drawings", drawings},
                                  {"data", data},
                                  {"chart_library", chart_library()},
                                  {"script", page_script()}});
}

}  // namespace cmsim::report
