// A descriptor that closes itself.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

namespace codewake::internal {

/// The same open file by a number that is not 0, 1 or 2; that number is closed. A program that has closed its
/// standard descriptors still prints to those numbers. Negative, with errno, where `number` is, or no number
/// is left. Async-signal-safe, thread-safe.
inline int beyond_standard(int number) noexcept {
  constexpr int kFirst = 3;
  if (number < 0 || number >= kFirst) return number;
  // Not fcntl(), which glibc's headers call fcntl64 and musl does not have: libcodewake-watch is loaded
  // there.
  const auto moved = static_cast<int>(syscall(SYS_fcntl, number, F_DUPFD_CLOEXEC, kFirst));
  const int error = errno;
  close(number);
  errno = error;
  return moved;
}

/// Never 0, 1 or 2.
class FileDescriptor {
 public:
  /// Takes the descriptor over; a negative one is none.
  explicit FileDescriptor(int number) noexcept : number_(beyond_standard(number)) {}
  /// For reading. The path may name anything, also a pipe that has no writer: it does not block.
  explicit FileDescriptor(const char* path) noexcept
      : FileDescriptor(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor() {
    if (number_ >= 0) close(number_);
  }

  /// Leaves it to the caller to close it.
  int release() noexcept { return std::exchange(number_, -1); }

  /// Negative where the file could not be opened.
  int number() const noexcept { return number_; }

  /// What kind of file it is does not matter but for this: empty unless it is open and a regular one.
  std::optional<struct stat> regular_file() const noexcept {
    struct stat status {};
    if (number_ < 0 || fstat(number_, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    return status;
  }

 private:
  int number_;
};

}  // namespace codewake::internal
