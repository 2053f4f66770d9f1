// Where the elements of an XML text stand, which Boost's reader does not tell.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cmsim::hw {

inline constexpr int kDeepestXml = 32;  // Boost's reader recurses

struct XmlPlaces {
  std::map<std::string, std::vector<int>, std::less<>>
      lines;         // of the elements of a name, in order
  int too_deep = 0;  // the line where elements are nested deeper than kDeepestXml; 0 = nowhere
};

/// Of the elements with these names. Comments and CDATA have no elements; of a text that is not
/// well-formed the places may be any.
XmlPlaces xml_places(std::string_view text, const std::vector<std::string>& names);

}  // namespace cmsim::hw
