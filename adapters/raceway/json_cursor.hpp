// Reading JSON where it lies: checked to the letter, and handed on as it is written.
#pragma once

#include <cstddef>
#include <string_view>

namespace codewake::internal {

/// A value as it stands in the text.
struct JsonValue {
  enum class Kind { null, boolean, number, string, array, object };

  Kind kind = Kind::null;
  std::string_view text = {};  ///< with its quotes, brackets or braces
};

/// Goes through a text from its begin. What is no JSON by RFC 8259, what a Raceway server's parser refuses (a
/// surrogate alone, a number that no double holds), and what is nested deeper than kMostDepth makes a call
/// false; the cursor is of no use then. Bytes above 0x7f are taken as they are: the text is UTF-8 already.
/// Reentrant; borrows the text.
class JsonCursor {
 public:
  /// A Raceway server's parser takes 127 in all, and a value of ours stands in up to 6 of its own.
  static constexpr int kMostDepth = 100;

  explicit JsonCursor(std::string_view text) noexcept : at_(text.data()), end_(text.data() + text.size()) {}

  /// Any value.
  bool value(JsonValue& value) noexcept { return nested_value(value, kMostDepth); }
  bool string(JsonValue& value) noexcept;

  /// Takes this character, behind white space, if it comes next.
  bool take(char c) noexcept;
  /// Whether nothing but white space follows.
  bool at_end() noexcept;

  /// Goes through an object whose `{` comes next: `visit(key, value)` for each member, the key a string with
  /// its quotes; false from it ends the way.
  template <class Visit>
  bool members(Visit visit) {
    return items('{', '}', [&] {
      JsonValue key, member;
      return string(key) && take(':') && value(member) && visit(key.text, member);
    });
  }

  /// Goes through an array whose `[` comes next: `item()` takes each with the means of the cursor.
  template <class Item>
  bool elements(Item item) {
    return items('[', ']', item);
  }

 private:
  template <class Item>
  bool items(char open, char close, Item item) {
    if (!take(open)) return false;
    if (take(close)) return true;
    do {
      if (!item()) return false;
    } while (take(','));
    return take(close);
  }

  void skip_space() noexcept;
  bool nested_value(JsonValue& value, int depth) noexcept;
  bool skip_string() noexcept;
  bool skip_escape() noexcept;
  bool hex_digits(unsigned& number) noexcept;
  bool skip_number() noexcept;
  bool skip_digits() noexcept;
  bool skip_word(std::string_view word) noexcept;
  bool skip_nested(char close, int depth) noexcept;

  const char* at_;
  const char* end_;
};

}  // namespace codewake::internal
