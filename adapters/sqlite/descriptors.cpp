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
#include <string_view>
#include <utility>

namespace codewake::internal {

/// Never freed, so that it is read without a lock, also in a child that was forked meanwhile: one for each
/// path and rule that this process has used.
struct JudgedFiles {
  const std::string path;
  const FileRule rule;
  std::atomic<int> uses{0};
  JudgedFiles* next = nullptr;
};

namespace {

constinit std::atomic<JudgedFiles*> judged_files{nullptr};

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
  if (fstat(fd, &now) == 0 && now.st_ino == inode &&
      now.st_dev == file.device.load(std::memory_order_relaxed)) {
    return true;
  }
  return file.inode.load(std::memory_order_acquire) != inode;  // closed by SQLite itself meanwhile
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

bool is_of(const std::string& database, std::string_view path) noexcept {
  if (!path.starts_with(database)) return false;
  path.remove_prefix(database.size());
  return path.empty() || path == "-wal" || path == "-shm" || path == "-journal";
}

const FileRule* rule_of(std::string_view path) noexcept {
  const FileRule* found = nullptr;
  for (const JudgedFiles* files = judged_files.load(std::memory_order_acquire); files != nullptr;
       files = files->next) {
    if (files->uses.load(std::memory_order_acquire) == 0 || !is_of(files->path, path)) continue;
    if (found == nullptr || found->only_read) found = &files->rule;
  }
  return found;
}

/// The name is looked at after the file was opened: only then does a count of one name mean that the file has
/// no other, for one that was opened by a second name could have lost that name since.
bool may_be_opened(int fd, const char* path, const FileRule& rule) noexcept {
  struct stat opened_file {};
  struct stat named {};
  if (fstat(fd, &opened_file) != 0 || lstat(path, &named) != 0) return false;
  if (opened_file.st_dev != named.st_dev || opened_file.st_ino != named.st_ino) return false;
  if (why_not_opened(named, rule) != nullptr) return false;
  const bool is_new = named.st_size == 0 && named.st_uid == geteuid();
  if (rule.only_read || !rule.group || !is_new || named.st_gid == *rule.group) return true;
  return fchown(fd, static_cast<uid_t>(-1), *rule.group) == 0;
}

int open_by_rule(const char* path, int flags, int mode) {
  const FileRule* const rule = rule_of(path);
  if (rule == nullptr) return next_open.before(path, flags, mode);
  // Neither waits for the other end of a pipe, nor for a modem.
  flags |= O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  // What is there already: where fs.protected_regular is set, O_CREAT would not open the file of another
  // member of the group.
  int fd = next_open.before(path, flags & ~O_CREAT, mode);
  if (fd < 0 && errno == ENOENT && (flags & O_CREAT) != 0) fd = next_open.before(path, flags, mode);
  if (fd < 0 || may_be_opened(fd, path, *rule)) return fd;
  next_close.before(fd);
  errno = EPERM;
  return -1;
}

int guarded_open(const char* path, int flags, int mode) {
  const int fd = open_by_rule(path, flags, mode);
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

FilesByRule::FilesByRule(const std::string& path, const FileRule& rule) {
  for (JudgedFiles* files = judged_files.load(std::memory_order_acquire); files != nullptr;
       files = files->next) {
    if (files->path == path && files->rule == rule) {
      ++files->uses;
      files_ = files;
      return;
    }
  }
  files_ = new JudgedFiles{.path = path, .rule = rule, .uses = 1, .next = judged_files.load()};
  while (!judged_files.compare_exchange_weak(files_->next, files_)) continue;
}

FilesByRule::FilesByRule(FilesByRule&& other) noexcept : files_(std::exchange(other.files_, nullptr)) {}

FilesByRule& FilesByRule::operator=(FilesByRule&& other) noexcept {
  std::swap(files_, other.files_);
  return *this;
}

FilesByRule::~FilesByRule() {
  if (files_ != nullptr) --files_->uses;
}

}  // namespace codewake::internal
