#include "progress.hpp"

#include <unistd.h>

#include <cstdio>

#include "codewake/visible.hpp"

namespace codewake::cli {

Progress::Progress() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_terminal_) std::fputs("\r\x1b[K", stderr);
}

void Progress::show(const std::string& text) {
  if (is_terminal_) std::fprintf(stderr, "\r\x1b[K%s", visible(text).c_str());
}

}  // namespace codewake::cli
