// Standard output: buffered, checked, and aware of whether somebody reads it on a terminal.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

namespace codewake::cli {

/// When to colour.
enum class ColorMode { automatic, always, never };

/// What a piece of text is, for the theme.
enum class Style { plain, heading, key, dim, alarm };

/// The reader of standard output has gone (`codewake events | head`): nobody wants the rest.
class OutputClosed : public std::exception {
 public:
  const char* what() const noexcept override { return "the reader of the output has gone"; }
};

/// Where a command's result goes, most of which others have recorded. Thread-bound. Throws OutputClosed, and
/// std::system_error where it cannot write.
class Output {
 public:
  /// Writes to file descriptor `fd`, which it borrows.
  explicit Output(int fd);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  /// Colours are on a terminal only, and only where neither NO_COLOR nor TERM=dumb asks for none, unless told
  /// otherwise.
  void set_color(ColorMode mode);

  /// Lines for people: all that a terminal would act on becomes visible, as by visible().
  void write(std::string_view text);
  void write(std::string_view text, Style style);
  /// The same bytes, for programs.
  void write_raw(std::string_view text);
  void flush();

  bool is_terminal() const noexcept { return is_terminal_; }

  /// Columns of the terminal; empty where it is none, and lines may be as long as they like.
  std::optional<std::size_t> width() const noexcept { return width_; }

 private:
  int fd_;
  bool is_terminal_;
  bool color_ = false;
  std::optional<std::size_t> width_;
  std::string buffer_;
};

}  // namespace codewake::cli
