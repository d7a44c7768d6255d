#include "descriptors.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

namespace codewake::internal {
namespace {

/// What file SQLite has opened under a number; inode 0: it has none there, or it is not known.
struct Opened {
  std::atomic<std::uint64_t> device{0};
  std::atomic<std::uint64_t> inode{0};
};
// Those beyond are not guarded.
constexpr std::size_t kMost = 1024;
constinit std::array<Opened, kMost> opened{};
constinit std::atomic<std::size_t> end_of_opened{0};

Opened* opened_as(int fd) noexcept {
  return fd >= 0 && static_cast<std::size_t>(fd) < kMost ? &opened[static_cast<std::size_t>(fd)] : nullptr;
}

bool is_still_there(int fd, const Opened& file) noexcept {
  const std::uint64_t inode = file.inode.load(std::memory_order_acquire);
  if (inode == 0) return true;
  struct stat now {};
  return fstat(fd, &now) == 0 && now.st_ino == inode &&
         now.st_dev == file.device.load(std::memory_order_relaxed);
}

bool is_ours(int fd) noexcept {
  const Opened* const file = opened_as(fd);
  if (file == nullptr || is_still_there(fd, *file)) return true;
  errno = EBADF;
  return false;
}

/// A function that SQLite calls, and what it has called before.
template <class Function>
struct SystemCall {
  const char* name;
  Function before = nullptr;

  void replace(sqlite3_vfs* files, Function with) {
    before = reinterpret_cast<Function>(files->xGetSystemCall(files, name));
    if (before != nullptr) {
      files->xSetSystemCall(files, name, reinterpret_cast<sqlite3_syscall_ptr>(with));
    }
  }
};

SystemCall<int (*)(const char*, int, int)> next_open{"open"};
SystemCall<int (*)(int)> next_close{"close"};
SystemCall<ssize_t (*)(int, void*, std::size_t)> next_read{"read"};
SystemCall<ssize_t (*)(int, const void*, std::size_t)> next_write{"write"};
SystemCall<ssize_t (*)(int, void*, std::size_t, off_t)> next_pread{"pread"};
SystemCall<ssize_t (*)(int, const void*, std::size_t, off_t)> next_pwrite{"pwrite"};
SystemCall<ssize_t (*)(int, void*, std::size_t, off64_t)> next_pread64{"pread64"};
SystemCall<ssize_t (*)(int, const void*, std::size_t, off64_t)> next_pwrite64{"pwrite64"};
SystemCall<int (*)(int, off_t)> next_ftruncate{"ftruncate"};
SystemCall<int (*)(int, int, ...)> next_fcntl{"fcntl"};
SystemCall<void* (*)(void*, std::size_t, int, int, int, off_t)> next_mmap{"mmap"};

int guarded_open(const char* path, int flags, int mode) {
  const int fd = next_open.before(path, flags, mode);
  struct stat status {};
  Opened* const file = opened_as(fd);
  if (file == nullptr || fstat(fd, &status) != 0) return fd;
  file->device.store(status.st_dev, std::memory_order_relaxed);
  file->inode.store(status.st_ino, std::memory_order_release);
  const auto end = static_cast<std::size_t>(fd) + 1;
  std::size_t known = end_of_opened.load(std::memory_order_relaxed);
  while (known < end && !end_of_opened.compare_exchange_weak(known, end)) continue;
  return fd;
}

int guarded_close(int fd) {
  const bool is_there = is_ours(fd);
  if (Opened* const file = opened_as(fd)) file->inode.store(0, std::memory_order_release);
  return is_there ? next_close.before(fd) : 0;
}

ssize_t guarded_read(int fd, void* to, std::size_t size) {
  return is_ours(fd) ? next_read.before(fd, to, size) : -1;
}

ssize_t guarded_write(int fd, const void* from, std::size_t size) {
  return is_ours(fd) ? next_write.before(fd, from, size) : -1;
}

ssize_t guarded_pread(int fd, void* to, std::size_t size, off_t at) {
  return is_ours(fd) ? next_pread.before(fd, to, size, at) : -1;
}

ssize_t guarded_pwrite(int fd, const void* from, std::size_t size, off_t at) {
  return is_ours(fd) ? next_pwrite.before(fd, from, size, at) : -1;
}

ssize_t guarded_pread64(int fd, void* to, std::size_t size, off64_t at) {
  return is_ours(fd) ? next_pread64.before(fd, to, size, at) : -1;
}

ssize_t guarded_pwrite64(int fd, const void* from, std::size_t size, off64_t at) {
  return is_ours(fd) ? next_pwrite64.before(fd, from, size, at) : -1;
}

int guarded_ftruncate(int fd, off_t size) {
  return is_ours(fd) ? next_ftruncate.before(fd, size) : -1;
}

// SQLite passes one argument more, a pointer or a number.
int guarded_fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return is_ours(fd) ? next_fcntl.before(fd, command, argument) : -1;
}

void* guarded_mmap(void* at, std::size_t size, int protection, int flags, int fd, off_t offset) {
  return is_ours(fd) ? next_mmap.before(at, size, protection, flags, fd, offset) : MAP_FAILED;
}

}  // namespace

void guard_descriptors() {
  [[maybe_unused]] static const bool is_guarded = [] {
    sqlite3_vfs* const files = sqlite3_vfs_find("unix");
    if (files == nullptr || files->iVersion < 3 || files->xSetSystemCall == nullptr) return false;
    next_close.replace(files, &guarded_close);
    next_read.replace(files, &guarded_read);
    next_write.replace(files, &guarded_write);
    next_pread.replace(files, &guarded_pread);
    next_pwrite.replace(files, &guarded_pwrite);
    next_pread64.replace(files, &guarded_pread64);
    next_pwrite64.replace(files, &guarded_pwrite64);
    next_ftruncate.replace(files, &guarded_ftruncate);
    next_fcntl.replace(files, &guarded_fcntl);
    next_mmap.replace(files, &guarded_mmap);
    next_open.replace(files, &guarded_open);
    return true;
  }();
}

bool descriptors_are_lost() noexcept {
  const std::size_t end = end_of_opened.load(std::memory_order_relaxed);
  for (std::size_t fd = 0; fd < end; ++fd) {
    if (!is_still_there(static_cast<int>(fd), opened[fd])) return true;
  }
  return false;
}

}  // namespace codewake::internal
