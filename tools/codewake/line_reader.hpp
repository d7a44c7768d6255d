// Lines of a file descriptor, as soon as they are there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace codewake::cli {

struct InputLine {
  std::uint64_t number = 0;  ///< from 1
  std::string text = {};     ///< without its end
  bool too_long = false;     ///< longer than kMaxLineBytes; `text` is empty
};

/// Reads what there is and waits only where there is nothing, so that `tail -f | codewake log --stdin` is
/// recorded as it happens, and a file in large pieces. Thread-bound.
class LineReader {
 public:
  static constexpr std::size_t kMaxLineBytes = 64u << 20;

  /// Reads from `fd`, which it borrows.
  explicit LineReader(int fd) : fd_(fd) {}

  /// The lines that are complete now, at least one; none at the end of the input, where a last line needs no
  /// end. Blocks until there is one. Throws std::system_error.
  std::vector<InputLine> read();

 private:
  void take(std::string_view piece, std::vector<InputLine>& lines);
  void end_line(std::vector<InputLine>& lines);

  int fd_;
  bool at_end_ = false;
  InputLine current_{.number = 1};
};

}  // namespace codewake::cli
