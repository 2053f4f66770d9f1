#include "xml_places.hpp"

#include <algorithm>

namespace cmsim::hw {
namespace {

class XmlScanner {
 public:
  XmlScanner(std::string_view text, const std::vector<std::string>& names) : text_(text) {
    for (const std::string& name : names) places_.lines[name];
  }

  XmlPlaces scan() {
    while (next_tag() && places_.too_deep == 0) {
      if (skips("<!--", "-->") || skips("<![CDATA[", "]]>") || skips("<?", "?>")) continue;
      tag();
    }
    return std::move(places_);
  }

 private:
  void move_to(std::size_t end) {
    end = std::min(end, text_.size());
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<long>(at_),
                                         text_.begin() + static_cast<long>(end), '\n'));
    at_ = end;
  }
  bool next_tag() {
    move_to(text_.find('<', at_));
    return at_ < text_.size();
  }
  bool skips(std::string_view begin, std::string_view end) {
    if (text_.substr(at_, begin.size()) != begin) return false;
    const std::size_t found = text_.find(end, at_ + begin.size());
    move_to(found == std::string_view::npos ? found : found + end.size());
    return true;
  }
  /// The ">" that ends the tag; one in quotes does not.
  std::size_t end_of_tag() const {
    char quote = 0;
    for (std::size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '>') {
        return i;
      }
    }
    return text_.size();
  }
  void tag() {
    const std::size_t end = end_of_tag();
    const std::string_view inside = text_.substr(at_ + 1, end - std::min(end, at_ + 1));
    if (inside.starts_with('/')) {
      --depth_;
    } else if (!inside.starts_with('!')) {
      const std::string_view name = inside.substr(0, inside.find_first_of(" \t\r\n/"));
      if (const auto wanted = places_.lines.find(name); wanted != places_.lines.end()) {
        wanted->second.push_back(line_);
      }
      if (!inside.ends_with('/') && ++depth_ > kDeepestXml) places_.too_deep = line_;
    }
    move_to(end + 1);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1, depth_ = 0;
  XmlPlaces places_;
};

}  // namespace

XmlPlaces xml_places(std::string_view text, const std::vector<std::string>& names) {
  return XmlScanner(text, names).scan();
}

}  // namespace cmsim::hw
