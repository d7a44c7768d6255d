#include "line_reader.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace codewake::cli {

std::vector<InputLine> LineReader::read() {
  std::array<char, 64 * 1024> buffer;
  std::vector<InputLine> lines;
  while (lines.empty() && !at_end_) {
    const ssize_t size = ::read(fd_, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw std::system_error(errno, std::generic_category(), "cannot read the input");
    at_end_ = size == 0;
    take({buffer.data(), static_cast<std::size_t>(size)}, lines);
    if (at_end_ && (!current_.text.empty() || current_.too_long)) end_line(lines);
  }
  return lines;
}

void LineReader::take(std::string_view piece, std::vector<InputLine>& lines) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (current_.text.size() + part.size() > kMaxLineBytes) current_.too_long = true;
    if (current_.too_long) {
      current_.text.clear();
    } else {
      current_.text += part;
    }
    if (end == std::string_view::npos) return;
    end_line(lines);
    piece.remove_prefix(end + 1);
  }
}

void LineReader::end_line(std::vector<InputLine>& lines) {
  const std::uint64_t number = current_.number;
  lines.push_back(std::move(current_));
  current_ = InputLine{.number = number + 1};
}

}  // namespace codewake::cli
