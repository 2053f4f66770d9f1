// Shapes as SVG text, and the colours of the drawing of a platform.
#pragma once

#include <string>
#include <string_view>

namespace cmsim::hw {

struct Box {
  double x = 0, y = 0, w = 0, h = 0;
  double right() const { return x + w; }
  double bottom() const { return y + h; }
  double centre() const { return x + w / 2; }
  double middle() const { return y + h / 2; }
};

/// The smallest box around both.
Box hull(const Box& a, const Box& b);
Box grown(const Box& box, double by);

struct Stroke {
  std::string colour;
  double width = 1;
  double opacity = 1;
};

enum class Anchor { kStart, kMiddle, kEnd };
enum class Weight { kPlain, kBold };

class SvgCanvas {
 public:
  void rectangle(const Box& box, std::string_view fill, const Stroke& stroke, double radius = 0,
                 const std::string& tooltip = "");
  /// Up or down from one point to the other, upright at both ends.
  void cable(double x1, double y1, double x2, double y2, const Stroke& stroke,
             const std::string& tooltip);
  /// A straight line, or a bow whose middle is `bulge` off it, to the left as one goes.
  void bow(double x1, double y1, double x2, double y2, double bulge, const Stroke& stroke,
           const std::string& tooltip = "");
  void text(double x, double y, double size, const std::string& text,
            Anchor anchor = Anchor::kStart, Weight weight = Weight::kPlain);

  /// The whole document on a light ground.
  std::string document(double width, double height) const;

 private:
  void close(const std::string& tooltip, const char* element);
  std::string body_;
};

/// Of a class of links, by its number.
std::string class_colour(int cls);
/// From pale at 0 to dark red at 1.
std::string load_colour(double share);

}  // namespace cmsim::hw
