#include "base/held_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace codewake::internal {
namespace {

// Low numbers are soon another file's: of the program, or of a library that does not ask.
int move_up(FileDescriptor file) noexcept {
  constexpr int kLowest = 500;
  const int moved = fcntl(file.number(), F_DUPFD_CLOEXEC, kLowest);
  return moved < 0 ? file.release() : moved;
}

}  // namespace

HeldFile::HeldFile(FileDescriptor file) noexcept {
  struct stat status {};
  if (file.number() < 0 || fstat(file.number(), &status) != 0) return;
  device_ = status.st_dev;
  inode_ = status.st_ino;
  fd_ = move_up(std::move(file));
}

HeldFile::HeldFile(HeldFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), device_(other.device_), inode_(other.inode_) {}

HeldFile& HeldFile::operator=(HeldFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

HeldFile::~HeldFile() {
  if (is_open()) close(fd_);
}

bool HeldFile::is_open() const noexcept {
  return is_same(fd_);
}

bool HeldFile::is_same(int descriptor) const noexcept {
  struct stat status {};
  return descriptor >= 0 && fstat(descriptor, &status) == 0 && status.st_dev == device_ &&
         status.st_ino == inode_;
}

std::error_code HeldFile::hold_again(FileDescriptor again) noexcept {
  if (again.number() < 0) return {errno, std::generic_category()};
  if (!is_same(again.number())) return {ESTALE, std::generic_category()};
  fd_ = move_up(std::move(again));
  return {};
}

}  // namespace codewake::internal
