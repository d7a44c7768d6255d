// Where in the source something is called.
#pragma once

#include <cstdint>

namespace codewake {

/// As std::source_location, which compilers of the day do not all have together with their library. A
/// function that takes `const SourceLocation& location = SourceLocation::current()` is told where it is
/// called. A plain value.
class SourceLocation {
 public:
  static constexpr SourceLocation current(const char* file = __builtin_FILE(),
                                          std::uint32_t line = __builtin_LINE()) noexcept {
    return {file, line};
  }

  /// Nowhere.
  constexpr SourceLocation() noexcept = default;

  constexpr const char* file_name() const noexcept { return file_; }
  /// 0 is not known.
  constexpr std::uint32_t line() const noexcept { return line_; }

 private:
  constexpr SourceLocation(const char* file, std::uint32_t line) noexcept : file_(file), line_(line) {}

  const char* file_ = "";
  std::uint32_t line_ = 0;
};

}  // namespace codewake
