#include "codewake/visible.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>

#include "base/file_size_signal.hpp"
#include "codewake/utf8.hpp"

namespace codewake {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

struct Range {
  char32_t first;
  char32_t last;
};

// Beyond ASCII: C1 controls, marks and overrides of direction, separators of lines, zero widths that no
// script needs, fillers, selectors of variants, annotations, and tags: a text can be hidden in them. The
// joiners U+200C and U+200D stay: scripts and emoji need them.
constexpr std::array<Range, 14> kInvisible = {{{0x80, 0x9F},
                                               {0xAD, 0xAD},
                                               {0x61C, 0x61C},
                                               {0x180E, 0x180E},
                                               {0x200B, 0x200B},
                                               {0x200E, 0x200F},
                                               {0x2028, 0x202E},
                                               {0x2060, 0x206F},
                                               {0x3164, 0x3164},
                                               {0xFE00, 0xFE0F},
                                               {0xFEFF, 0xFEFF},
                                               {0xFFF9, 0xFFFB},
                                               {0xE0000, 0xE007F},
                                               {0xE0100, 0xE01EF}}};

/// What stands for one character: itself or its escape. At most ten bytes.
class Piece {
 public:
  /// Of the first character of `text`, which is not empty.
  explicit Piece(std::string_view text) {
    const Utf8Character c = decode_utf8(text);
    size_bytes_ = c.size_bytes;
    show(c, text.substr(0, c.size_bytes));
  }

  std::string_view shown() const noexcept { return {text_.data(), length_}; }
  std::size_t size_bytes() const noexcept { return size_bytes_; }  ///< of the character

 private:
  void show(const Utf8Character& c, std::string_view text) noexcept {
    if (c.is_valid && is_visible(c.code_point)) return put(text);
    if (!c.is_valid) return escape("\\x", c.code_point, 2);
    switch (c.code_point) {
      case '\n':
        return put("\\n");
      case '\r':
        return put("\\r");
      case '\t':
        return put("\\t");
      default:
        break;
    }
    if (c.code_point < 0x80) return escape("\\x", c.code_point, 2);
    if (c.code_point <= 0xFFFF) return escape("\\u", c.code_point, 4);
    escape("\\U", c.code_point, 8);
  }

  void put(std::string_view text) noexcept {
    std::ranges::copy(text, text_.begin() + static_cast<std::ptrdiff_t>(length_));
    length_ += text.size();
  }

  void escape(std::string_view prefix, char32_t number, std::size_t digits) noexcept {
    put(prefix);
    while (digits-- > 0) text_[length_++] = kDigits[(number >> (4 * digits)) & 15];
  }

  std::array<char, 10> text_{};
  std::size_t length_ = 0;
  std::size_t size_bytes_ = 0;
};

/// A line of stderr that is put together without memory from the heap.
class Line {
 public:
  /// False once the line is full.
  bool add(std::string_view text) noexcept {
    while (!text.empty()) {
      const Piece piece(text);
      if (length_ + piece.shown().size() > text_.size() - kEnd.size()) {
        put(kEllipsis);
        return false;
      }
      put(piece.shown());
      text.remove_prefix(piece.size_bytes());
    }
    return true;
  }

  void write_out() noexcept {
    const internal::NoFileSizeSignal guard;
    put("\n");
    std::string_view rest(text_.data(), length_);
    while (!rest.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (written < 0 && errno != EINTR) return;
      if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
  }

 private:
  static constexpr std::string_view kEllipsis = "…";
  static constexpr std::string_view kEnd = "…\n";

  void put(std::string_view text) noexcept {
    std::ranges::copy(text, text_.begin() + static_cast<std::ptrdiff_t>(length_));
    length_ += text.size();
  }

  std::array<char, PIPE_BUF> text_;
  std::size_t length_ = 0;
};

}  // namespace

bool is_visible(char32_t code_point) noexcept {
  if (code_point < 0x80) return code_point >= 0x20 && code_point != 0x7F;
  return std::ranges::none_of(
      kInvisible, [=](const Range& range) { return code_point >= range.first && code_point <= range.last; });
}

std::string visible(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Piece piece(text);
    result += piece.shown();
    text.remove_prefix(piece.size_bytes());
  }
  return result;
}

void say_on_stderr(std::initializer_list<std::string_view> parts) noexcept {
  const int error = errno;
  Line line;
  bool has_room = line.add("codewake: ");
  for (const std::string_view* part = parts.begin(); has_room && part != parts.end(); ++part) {
    std::string_view text = *part;
    if (part + 1 == parts.end()) text = text.substr(0, text.find_last_not_of("\r\n") + 1);
    has_room = line.add(text);
  }
  line.write_out();
  errno = error;
}

void say_on_stderr(std::string_view message) noexcept {
  say_on_stderr({message});
}

}  // namespace codewake
