// A file or folder that is held open while the program does what it likes with descriptors.
#pragma once

#include <cstdint>
#include <system_error>

#include "base/file_descriptor.hpp"

namespace codewake::internal {

/// Programs close descriptors that they do not own, as by closefrom(3) when they become daemons; the number
/// is another file's then. So each use of the descriptor asks before whether it is still this file's.
/// Reentrant.
class HeldFile {
 public:
  HeldFile() noexcept = default;
  /// Holds nothing where the descriptor is none.
  explicit HeldFile(FileDescriptor file) noexcept;
  HeldFile(HeldFile&& other) noexcept;
  HeldFile& operator=(HeldFile&& other) noexcept;
  ~HeldFile();

  /// Whether the descriptor is there and this file's.
  bool is_open() const noexcept;

  /// Whether `descriptor` is open and this file's, too.
  bool is_same(int descriptor) const noexcept;

  /// Holds the file by `again`, which must be another descriptor of it: after its own was closed.
  std::error_code hold_again(FileDescriptor again) noexcept;

  int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

}  // namespace codewake::internal
