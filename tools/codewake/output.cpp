#include "output.hpp"

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string_view>
#include <system_error>

#include "codewake/visible.hpp"

namespace codewake::cli {
namespace {

constexpr std::size_t kBufferSizeBytes = 64 * 1024;
constexpr std::size_t kDefaultWidth = 80;

std::string_view variable(const char* name) {
  const char* const value = secure_getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::size_t terminal_width(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const std::string_view text = variable("COLUMNS");
  std::size_t columns = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), columns);
  return error == std::errc() && end == text.data() + text.size() && columns > 0 ? columns : kDefaultWidth;
}

std::string_view escape_sequence(Style style) {
  switch (style) {
    case Style::plain:
      return "";
    case Style::heading:
      return "\x1b[1m";
    case Style::key:
      return "\x1b[36m";
    case Style::dim:
      return "\x1b[2m";
    case Style::alarm:
      return "\x1b[31m";
  }
  return "";
}

}  // namespace

Output::Output(int fd) : fd_(fd), is_terminal_(::isatty(fd) == 1) {
  if (is_terminal_) width_ = terminal_width(fd);
  set_color(ColorMode::automatic);
}

void Output::set_color(ColorMode mode) {
  const bool wanted = is_terminal_ && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  color_ = mode == ColorMode::always || (mode == ColorMode::automatic && wanted);
}

void Output::write(std::string_view text) {
  while (true) {
    const std::string_view line = text.substr(0, text.find('\n'));
    buffer_ += visible(line);
    if (line.size() == text.size()) break;
    buffer_ += '\n';
    text.remove_prefix(line.size() + 1);
  }
  if (buffer_.size() >= kBufferSizeBytes) flush();
}

void Output::write(std::string_view text, Style style) {
  if (!color_ || style == Style::plain || text.empty()) return write(text);
  buffer_ += escape_sequence(style);
  write(text);
  write_raw("\x1b[0m");
}

void Output::write_raw(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kBufferSizeBytes) flush();
}

void Output::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // whoever shares the descriptor may have made it non-blocking
      pollfd waiting{fd_, POLLOUT, 0};
      ::poll(&waiting, 1, -1);
    } else if (errno == EPIPE) {
      buffer_.clear();
      throw OutputClosed();
    } else if (errno != EINTR) {
      const std::error_code error(errno, std::generic_category());
      buffer_.clear();
      throw std::system_error(error, "cannot write the output");
    }
  }
  buffer_.clear();
}

}  // namespace codewake::cli
