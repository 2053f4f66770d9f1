#include "json_cursor.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace cmsim::work {
namespace {

constexpr int kDeepest = 32;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

}  // namespace

void JsonCursor::fail(const std::string& message) const { throw TextError(position_, message); }

std::string JsonCursor::found() const {
  if (position_ >= text_.size()) return "the end (cut short?)";
  return fmt::format("'{}'", text_.substr(position_, 12));
}

void JsonCursor::skip_space() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
    ++position_;
  }
}

bool JsonCursor::consume(char c) {
  skip_space();
  if (position_ >= text_.size() || text_[position_] != c) return false;
  ++position_;
  return true;
}

void JsonCursor::expect(char c) {
  if (!consume(c)) fail(fmt::format("found {}, expected '{}'", found(), c));
}

void JsonCursor::expect_end() {
  skip_space();
  if (position_ < text_.size()) fail(fmt::format("found {} after the object", found()));
}

bool JsonCursor::more(char close) {
  if (consume(',')) return true;
  if (consume(close)) return false;
  fail(fmt::format("found {}, expected ',' or '{}'", found(), close));
}

std::string_view JsonCursor::string() {
  expect('"');
  const std::size_t start = position_;
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c == '"') return text_.substr(start, position_++ - start);
    if (static_cast<unsigned char>(c) < 0x20) fail("control character in a string");
    if (c == '\\') {
      ++position_;
      if (position_ >= text_.size()) break;
      const char escape = text_[position_];
      if (std::string_view("\"\\/bfnrtu").find(escape) == std::string_view::npos) {
        fail(fmt::format("unknown escape '\\{}'", escape));
      }
      if (escape == 'u') {
        for (int i = 0; i < 4; ++i) {
          if (++position_ >= text_.size() || !is_hex(text_[position_])) {
            fail("\\u needs four hexadecimal digits");
          }
        }
      }
    }
    ++position_;
  }
  position_ = text_.size();
  fail(fmt::format("found {} inside a string", found()));
}

std::string_view JsonCursor::key() {
  const std::string_view name = string();
  expect(':');
  return name;
}

std::string_view JsonCursor::number_text(std::string_view field) {
  skip_space();
  std::size_t end = position_;
  const auto digits = [&] {
    const std::size_t start = end;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    return end - start;
  };
  if (end < text_.size() && text_[end] == '-') ++end;
  const std::size_t leading = end;
  const std::size_t whole = digits();
  bool valid = whole > 0 && !(whole > 1 && text_[leading] == '0');
  if (valid && end < text_.size() && text_[end] == '.') {
    ++end;
    valid = digits() > 0;
  }
  if (valid && end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
    ++end;
    if (end < text_.size() && (text_[end] == '+' || text_[end] == '-')) ++end;
    valid = digits() > 0;
  }
  if (!valid) fail(fmt::format("{}: found {}, expected a number", field, found()));
  const std::string_view number = text_.substr(position_, end - position_);
  return number;
}

std::int64_t JsonCursor::integer(std::string_view field) {
  const std::string_view text = number_text(field);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    fail(fmt::format("{}: {} is too large a number", field, text));
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(fmt::format("{}: found {}, expected a whole number", field, text));
  }
  position_ += text.size();
  return value;
}

double JsonCursor::number(std::string_view field) {
  const std::string_view text = number_text(field);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) {
    fail(fmt::format("{}: {} is no number a double can hold", field, text));
  }
  position_ += text.size();
  return value;
}

void JsonCursor::ids(std::string_view field, std::vector<std::uint64_t>& values) {
  values.clear();
  expect('[');
  if (consume(']')) return;
  do {
    skip_space();
    std::uint64_t value = 0;
    const char* start = text_.data() + position_;
    const auto [end, error] = std::from_chars(start, text_.data() + text_.size(), value);
    if (error == std::errc::result_out_of_range) {
      fail(fmt::format("{}: {} is too large a number", field, std::string_view(start, end)));
    }
    if (error != std::errc()) {
      fail(fmt::format("{}: found {}, expected a block id (a whole number, 0 or more)", field,
                       found()));
    }
    if (*start == '0' && end != start + 1) fail(fmt::format("{}: number with leading 0", field));
    position_ += static_cast<std::size_t>(end - start);
    values.push_back(value);
  } while (more(']'));
}

void JsonCursor::skip_value(int depth) {
  if (depth > kDeepest) fail(fmt::format("nested deeper than {} levels", kDeepest));
  skip_space();
  if (position_ >= text_.size()) fail("found the end (cut short?), expected a value");
  const char c = text_[position_];
  if (c == '"') {
    string();
  } else if (c == '{') {
    ++position_;
    if (consume('}')) return;
    do {
      key();
      skip_value(depth + 1);
    } while (more('}'));
  } else if (c == '[') {
    ++position_;
    if (consume(']')) return;
    do skip_value(depth + 1);
    while (more(']'));
  } else {
    for (const std::string_view word : {"true", "false", "null"}) {
      if (text_.substr(position_).starts_with(word)) {
        position_ += word.size();
        return;
      }
    }
    position_ += number_text("value").size();
  }
}

}  // namespace cmsim::work
