// A descriptor that closes itself.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>

namespace codewake::internal {

class FileDescriptor {
 public:
  /// For reading. The path may name anything, also a pipe that nobody writes to: it does not block.
  explicit FileDescriptor(const char* path) noexcept
      : number_(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  ~FileDescriptor() {
    if (number_ >= 0) close(number_);
  }

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
