#include "svg_canvas.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "cmsim/hw/graph_files.hpp"

namespace cmsim::hw {
namespace {

std::string stroke_text(const Stroke& stroke) {
  std::string text =
      fmt::format("stroke=\"{}\" stroke-width=\"{:.2f}\"", stroke.colour, stroke.width);
  if (stroke.opacity < 1) text += fmt::format(" stroke-opacity=\"{:.2f}\"", stroke.opacity);
  return text;
}

}  // namespace

Box hull(const Box& a, const Box& b) {
  const double x = std::min(a.x, b.x), y = std::min(a.y, b.y);
  return {x, y, std::max(a.right(), b.right()) - x, std::max(a.bottom(), b.bottom()) - y};
}

Box grown(const Box& box, double by) {
  return {box.x - by, box.y - by, box.w + 2 * by, box.h + 2 * by};
}

void SvgCanvas::close(const std::string& tooltip, const char* element) {
  body_ += tooltip.empty()
               ? "/>\n"
               : fmt::format("><title>{}</title></{}>\n", xml_escaped(tooltip), element);
}

void SvgCanvas::rectangle(const Box& box, std::string_view fill, const Stroke& stroke,
                          double radius, const std::string& tooltip) {
  fmt::format_to(std::back_inserter(body_),
                 "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
                 "rx=\"{:.1f}\" fill=\"{}\" {}",
                 box.x, box.y, box.w, box.h, radius, fill, stroke_text(stroke));
  close(tooltip, "rect");
}

void SvgCanvas::cable(double x1, double y1, double x2, double y2, const Stroke& stroke,
                      const std::string& tooltip) {
  const double middle = (y1 + y2) / 2;
  fmt::format_to(std::back_inserter(body_),
                 "<path d=\"M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}\" "
                 "fill=\"none\" {}",
                 x1, y1, x1, middle, x2, middle, x2, y2, stroke_text(stroke));
  close(tooltip, "path");
}

void SvgCanvas::bow(double x1, double y1, double x2, double y2, double bulge, const Stroke& stroke,
                    const std::string& tooltip) {
  const double length = std::max(1e-9, std::hypot(x2 - x1, y2 - y1));
  // The control point of a parabola is twice as far off as its middle.
  const double off = 2 * bulge / length;
  const double cx = (x1 + x2) / 2 + (y2 - y1) * off, cy = (y1 + y2) / 2 - (x2 - x1) * off;
  fmt::format_to(std::back_inserter(body_),
                 "<path d=\"M{:.1f} {:.1f}Q{:.1f} {:.1f} {:.1f} {:.1f}\" fill=\"none\" {}", x1, y1,
                 cx, cy, x2, y2, stroke_text(stroke));
  close(tooltip, "path");
}

void SvgCanvas::text(double x, double y, double size, const std::string& text, Anchor anchor,
                     Weight weight) {
  const char* anchors[] = {"start", "middle", "end"};
  fmt::format_to(std::back_inserter(body_),
                 "<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:.1f}\" text-anchor=\"{}\"{} "
                 "paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"3\" "
                 "stroke-linejoin=\"round\">{}"
                 "</text>\n",
                 x, y, size, anchors[static_cast<int>(anchor)],
                 weight == Weight::kBold ? " font-weight=\"bold\"" : "", xml_escaped(text));
}

std::string SvgCanvas::document(double width, double height) const {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
             "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"Helvetica, Arial, 'DejaVu Sans', "
             "sans-serif\" fill=\"#1c2733\">\n"
             "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#ffffff\"/>\n",
             width, height) +
         body_ + "</svg>\n";
}

std::string class_colour(int cls) {
  constexpr std::array kColours = {"#1f77b4", "#d95f02", "#2a9d54", "#8e5bc0",
                                   "#8c564b", "#d6559b", "#128fa3", "#a09a12",
                                   "#6b7280", "#c0392b", "#3b5bdb", "#5c940d"};
  return kColours[static_cast<std::size_t>(cls) % kColours.size()];
}

std::string load_colour(double share) {
  struct Stop {
    double at;
    std::array<double, 3> rgb;
  };
  constexpr Stop kStops[] = {{0, {222, 230, 238}},
                             {0.25, {140, 190, 222}},
                             {0.5, {250, 200, 80}},
                             {0.75, {238, 116, 40}},
                             {1, {176, 0, 32}}};
  share = std::clamp(share, 0.0, 1.0);
  std::size_t i = 1;
  while (i + 1 < std::size(kStops) && share > kStops[i].at) ++i;
  const Stop &low = kStops[i - 1], &high = kStops[i];
  const double part = (share - low.at) / (high.at - low.at);
  std::array<int, 3> rgb{};
  for (std::size_t c = 0; c < 3; ++c) {
    rgb[c] = static_cast<int>(std::lround(low.rgb[c] + part * (high.rgb[c] - low.rgb[c])));
  }
  return fmt::format("#{:02x}{:02x}{:02x}", rgb[0], rgb[1], rgb[2]);
}

}  // namespace cmsim::hw
