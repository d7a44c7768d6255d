#include "journal/held_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace codewake::internal {
namespace {

// Low numbers are soon somebody else's: of a program, or of a library that does not ask.
int move_up(int fd) noexcept {
  constexpr int kLowest = 500;
  const int moved = fcntl(fd, F_DUPFD_CLOEXEC, kLowest);
  if (moved < 0) return fd;
  close(fd);
  return moved;
}

}  // namespace

HeldFile::HeldFile(int fd) noexcept : fd_(fd < 0 ? -1 : move_up(fd)) {
  struct stat status {};
  if (fd_ < 0 || fstat(fd_, &status) != 0) return;
  device_ = status.st_dev;
  inode_ = status.st_ino;
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
  struct stat status {};
  return fd_ >= 0 && fstat(fd_, &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

std::error_code HeldFile::keep_open(const std::filesystem::path& path) noexcept {
  if (is_open()) return {};
  HeldFile again(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (again.fd_ < 0) return {errno, std::generic_category()};
  if (again.device_ != device_ || again.inode_ != inode_) return {ESTALE, std::generic_category()};
  fd_ = std::exchange(again.fd_, -1);
  return {};
}

}  // namespace codewake::internal
