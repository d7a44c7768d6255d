// A file that is held open while the program does what it likes with descriptors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <system_error>

namespace codewake::internal {

/// Programs close descriptors that they do not know, as by closefrom(3) when they become daemons; the number
/// is another file's then. So whoever uses the descriptor asks before whether it is still this file's.
/// Reentrant.
class HeldFile {
 public:
  HeldFile() noexcept = default;
  /// Takes the descriptor over. -1: holds nothing.
  explicit HeldFile(int fd) noexcept;
  HeldFile(HeldFile&& other) noexcept;
  HeldFile& operator=(HeldFile&& other) noexcept;
  ~HeldFile();

  /// Whether the descriptor is there and this file's.
  bool is_open() const noexcept;

  /// Opens the file again where its descriptor is gone: it must still be the one at `path`.
  std::error_code keep_open(const std::filesystem::path& path) noexcept;

  int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
  std::uint64_t device_ = 0;
  std::uint64_t inode_ = 0;
};

}  // namespace codewake::internal
