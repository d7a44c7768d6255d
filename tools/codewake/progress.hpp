// A line on stderr that is written over, where somebody looks at a terminal.
#pragma once

#include <string>

namespace codewake::cli {

/// Gone from the screen with the object. Thread-bound.
class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// Whether anybody sees it.
  bool is_shown() const noexcept { return is_terminal_; }

  /// Writes `text`, which is visible and of one line, over what was there.
  void show(const std::string& text);

 private:
  bool is_terminal_;
};

}  // namespace codewake::cli
