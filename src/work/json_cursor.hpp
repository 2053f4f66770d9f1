// A strict pull reader over one JSON text, for rows of known keys: it visits each byte once and
// builds nothing. Strings are given as written (escapes are checked, not decoded: no key we know
// has one). Every error is a TextError with the offset where it was found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cmsim::work {

/// Something in a text that cannot be read; whoever knows file and line turns it into a
/// ConfigError.
class TextError : public std::runtime_error {
 public:
  TextError(std::size_t offset, const std::string& message)
      : std::runtime_error(message), offset_(offset) {}
  std::size_t offset() const { return offset_; }

 private:
  std::size_t offset_;
};

class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) : text_(text) {}

  /// Skips white space; true when `c` was next and has been consumed.
  bool consume(char c);
  void expect(char c);
  void expect_end();
  /// Called after a member or element: true when another follows, false when `close` was consumed.
  bool more(char close);

  std::string_view string();
  std::string_view key();  // a string and its colon
  std::int64_t integer(std::string_view field);
  double number(std::string_view field);
  /// Replaces `values` by the array of non-negative integers that is next.
  void ids(std::string_view field, std::vector<std::uint64_t>& values);
  void skip_value() { skip_value(0); }

  std::size_t offset() const { return position_; }

 private:
  void skip_space();
  void skip_value(int depth);
  std::string_view number_text(std::string_view field);
  std::string found() const;
  [[noreturn]] void fail(const std::string& message) const;

  std::string_view text_;
  std::size_t position_ = 0;
};

}  // namespace cmsim::work
