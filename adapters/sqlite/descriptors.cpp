#include "descriptors.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "only_reading.hpp"
#include "wal_buffer.hpp"

namespace codewake::internal {

/// One for each path and rule that this process has used since the first of its stores was opened. Freed
/// after the last one alone, so that it is read without a lock, also in a child that was forked meanwhile.
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

/// A value that each thread has of its own, at first null. Not thread_local: what a module that is loaded
/// later has of that may need memory that is not there, and the dynamic linker ends the program then.
template <class T>
class OfThread {
 public:
  OfThread() noexcept : is_made_(pthread_key_create(&key_, nullptr) == 0) {}
  OfThread(const OfThread&) = delete;
  OfThread& operator=(const OfThread&) = delete;
  ~OfThread() {
    if (std::exchange(is_made_, false)) pthread_key_delete(key_);
  }

  T get() const noexcept { return is_made_ ? reinterpret_cast<T>(pthread_getspecific(key_)) : T{}; }
  bool set(T value) const noexcept {
    return is_made_ && pthread_setspecific(key_, reinterpret_cast<void*>(value)) == 0;
  }

 private:
  pthread_key_t key_{};
  bool is_made_;
};
/// How many calls of this thread use SQLite for a store.
const OfThread<std::intptr_t> calls_of_thread;
const OfThread<UsedFile*> used_file_of_thread;
/// Of threads that had no memory to count: while there are any, all are taken for a store's.
constinit std::atomic<int> uncounted_calls{0};

bool is_for_store() noexcept {
  return calls_of_thread.get() > 0 || uncounted_calls.load(std::memory_order_relaxed) > 0;
}

/// Whether SQLite may use the descriptor. The program's own connections may use all: theirs may have got the
/// number of one that a store has lost.
bool may_be_used(int fd) noexcept {
  const Opened* const file = opened_as(fd);
  if (is_for_store() && file != nullptr && !is_still_there(fd, *file)) {
    errno = EBADF;
    return false;
  }
  if (UsedFile* const used = used_file_of_thread.get()) used->is(fd);
  return true;
}

/// How many calls are in this library now, for whatever connection.
constinit std::atomic<int> calls{0};

class Call {
 public:
  Call() noexcept { calls.fetch_add(1, std::memory_order_acquire); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() { calls.fetch_sub(1, std::memory_order_release); }
};

/// A function that SQLite calls, and what it has called before.
template <class Function>
class SystemCall {
 public:
  constexpr SystemCall(const char* name, Function with) noexcept : name_(name), with_(with) {}

  void replace(sqlite3_vfs* files) {
    const auto now = reinterpret_cast<Function>(files->xGetSystemCall(files, name_));
    if (now == nullptr || is_below_another_) return;
    before_.store(now, std::memory_order_release);
    files->xSetSystemCall(files, name_, reinterpret_cast<sqlite3_syscall_ptr>(with_));
  }
  /// False where another library has replaced ours, and calls it.
  bool give_back(sqlite3_vfs* files) {
    const auto before = before_.load(std::memory_order_relaxed);
    if (before == nullptr) return true;
    const auto now = reinterpret_cast<Function>(files->xGetSystemCall(files, name_));
    is_below_another_ = now != with_;
    if (!is_below_another_)
      files->xSetSystemCall(files, name_, reinterpret_cast<sqlite3_syscall_ptr>(before));
    return !is_below_another_;
  }
  template <class... Arguments>
  auto call(Arguments... arguments) const {
    const Call here;
    return before_.load(std::memory_order_acquire)(arguments...);
  }

 private:
  const char* name_;
  Function with_;
  std::atomic<Function> before_{nullptr};
  bool is_below_another_ = false;
};

int guarded_open(const char* path, int flags, int mode);
int guarded_close(int fd);
ssize_t guarded_read(int fd, void* to, std::size_t size);
ssize_t guarded_write(int fd, const void* from, std::size_t size);
ssize_t guarded_pread(int fd, void* to, std::size_t size, off_t at);
ssize_t guarded_pwrite(int fd, const void* from, std::size_t size, off_t at);
ssize_t guarded_pread64(int fd, void* to, std::size_t size, off64_t at);
ssize_t guarded_pwrite64(int fd, const void* from, std::size_t size, off64_t at);
int guarded_ftruncate(int fd, off_t size);
int guarded_fcntl(int fd, int command, ...);
void* guarded_mmap(void* at, std::size_t size, int protection, int flags, int fd, off_t offset);

constinit SystemCall next_open{"open", &guarded_open};
constinit SystemCall next_close{"close", &guarded_close};
constinit SystemCall next_read{"read", &guarded_read};
constinit SystemCall next_write{"write", &guarded_write};
constinit SystemCall next_pread{"pread", &guarded_pread};
constinit SystemCall next_pwrite{"pwrite", &guarded_pwrite};
constinit SystemCall next_pread64{"pread64", &guarded_pread64};
constinit SystemCall next_pwrite64{"pwrite64", &guarded_pwrite64};
constinit SystemCall next_ftruncate{"ftruncate", &guarded_ftruncate};
constinit SystemCall next_fcntl{"fcntl", &guarded_fcntl};
constinit SystemCall next_mmap{"mmap", &guarded_mmap};

/// All of them; `work` is asked of each.
template <class Work>
void for_each_call(Work work) {
  work(next_open), work(next_close), work(next_read), work(next_write), work(next_pread), work(next_pwrite);
  work(next_pread64), work(next_pwrite64), work(next_ftruncate), work(next_fcntl), work(next_mmap);
}

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
  const Call here;  // reads the rules
  const FileRule* const rule = is_for_store() ? rule_of(path) : nullptr;
  if (rule == nullptr) return next_open.call(path, flags, mode);
  // Neither waits for the other end of a pipe, nor for a modem.
  flags |= O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  // What is there already: where fs.protected_regular is set, O_CREAT would not open the file of another
  // member of the group.
  int fd = next_open.call(path, flags & ~O_CREAT, mode);
  if (fd < 0 && errno == ENOENT && (flags & O_CREAT) != 0) fd = next_open.call(path, flags, mode);
  if (fd < 0 || may_be_opened(fd, path, *rule)) return fd;
  next_close.call(fd);
  errno = EPERM;
  return -1;
}

int guarded_open(const char* path, int flags, int mode) {
  const int fd = open_by_rule(path, flags, mode);
  struct stat status {};
  Opened* const file = opened_as(fd);
  if (file == nullptr || !is_for_store() || fstat(fd, &status) != 0) return fd;
  file->device.store(status.st_dev, std::memory_order_relaxed);
  file->inode.store(status.st_ino, std::memory_order_release);
  const auto end = static_cast<std::size_t>(fd) + 1;
  std::size_t known = end_of_opened.load(std::memory_order_relaxed);
  while (known < end && !end_of_opened.compare_exchange_weak(known, end)) continue;
  return fd;
}

int guarded_close(int fd) {
  Opened* const file = opened_as(fd);
  const bool is_there = file == nullptr || is_still_there(fd, *file);
  const bool is_ours = is_for_store();
  if (file != nullptr && (is_there || is_ours)) file->inode.store(0, std::memory_order_release);
  return is_there || !is_ours ? next_close.call(fd) : 0;
}

ssize_t guarded_read(int fd, void* to, std::size_t size) {
  return may_be_used(fd) ? next_read.call(fd, to, size) : -1;
}

ssize_t guarded_write(int fd, const void* from, std::size_t size) {
  return may_be_used(fd) ? next_write.call(fd, from, size) : -1;
}

ssize_t guarded_pread(int fd, void* to, std::size_t size, off_t at) {
  return may_be_used(fd) ? next_pread.call(fd, to, size, at) : -1;
}

ssize_t guarded_pwrite(int fd, const void* from, std::size_t size, off_t at) {
  return may_be_used(fd) ? next_pwrite.call(fd, from, size, at) : -1;
}

ssize_t guarded_pread64(int fd, void* to, std::size_t size, off64_t at) {
  return may_be_used(fd) ? next_pread64.call(fd, to, size, at) : -1;
}

ssize_t guarded_pwrite64(int fd, const void* from, std::size_t size, off64_t at) {
  return may_be_used(fd) ? next_pwrite64.call(fd, from, size, at) : -1;
}

int guarded_ftruncate(int fd, off_t size) {
  return may_be_used(fd) ? next_ftruncate.call(fd, size) : -1;
}

// SQLite passes one argument more, a pointer or a number.
int guarded_fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return may_be_used(fd) ? next_fcntl.call(fd, command, argument) : -1;
}

void* guarded_mmap(void* at, std::size_t size, int protection, int flags, int fd, off_t offset) {
  return may_be_used(fd) ? next_mmap.call(at, size, protection, flags, fd, offset) : MAP_FAILED;
}

/// Held for a moment, while the functions are replaced or given back. A thread that has it while another one
/// forks is not in the child: what it has left there belongs to no thread of that process.
class TableLock {
 public:
  TableLock() noexcept {
    const pid_t own = getpid();
    pid_t owner = 0;
    while (!owner_.compare_exchange_weak(owner, own, std::memory_order_acquire)) {
      if (owner != own) continue;  // the parent's, or free
      owner = 0;
      sched_yield();
    }
  }
  TableLock(const TableLock&) = delete;
  TableLock& operator=(const TableLock&) = delete;
  ~TableLock() { owner_.store(0, std::memory_order_release); }

 private:
  static constinit inline std::atomic<pid_t> owner_{0};
};

/// Guarded by TableLock.
constinit int guards = 0;

sqlite3_vfs* unix_files() noexcept {
  sqlite3_vfs* const files = sqlite3_vfs_find("unix");
  return files != nullptr && files->iVersion >= 3 && files->xSetSystemCall != nullptr ? files : nullptr;
}

/// A call that began before the functions were given back ends soon: none of them waits.
bool calls_have_ended() noexcept {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (calls.load(std::memory_order_acquire) != 0) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    sched_yield();
  }
  return true;
}

void free_all(const JudgedFiles* files) noexcept {
  while (files != nullptr) delete std::exchange(files, files->next);
}

}  // namespace

GuardedDescriptors::GuardedDescriptors() {
  const TableLock lock;
  sqlite3_vfs* const files = unix_files();
  if (guards++ == 0 && files != nullptr) for_each_call([&](auto& call) { call.replace(files); });
}

GuardedDescriptors::~GuardedDescriptors() {
  const TableLock lock;
  if (--guards > 0) return;
  bool are_given_back = true;
  if (sqlite3_vfs* const files = unix_files())
    for_each_call([&](auto& call) { are_given_back = call.give_back(files) && are_given_back; });
  unregister_wal_buffer();
  unregister_only_reading();
  // SQLite may still have a file open, for another connection of the program's: it is no store's any more.
  for (std::size_t fd = 0; fd < end_of_opened.load(std::memory_order_relaxed); ++fd)
    opened[fd].inode.store(0, std::memory_order_release);
  const JudgedFiles* const files = judged_files.exchange(nullptr);
  if (are_given_back && calls_have_ended()) {
    free_all(files);
  } else {
    keep_library_loaded();  // and what a call may still read
  }
}

CallsForStore::CallsForStore() noexcept : is_counted_(calls_of_thread.set(calls_of_thread.get() + 1)) {
  if (!is_counted_) uncounted_calls.fetch_add(1);
}

CallsForStore::~CallsForStore() {
  if (!is_counted_) {
    uncounted_calls.fetch_sub(1);
  } else {
    calls_of_thread.set(calls_of_thread.get() - 1);  // there is memory, for it was set before
  }
}

UsedFile::UsedFile() noexcept : outer_(used_file_of_thread.get()) {
  used_file_of_thread.set(this);
}

UsedFile::~UsedFile() {
  used_file_of_thread.set(outer_);
}

std::optional<FileIdentity> UsedFile::identity() const noexcept {
  struct stat file {};
  if (fd_ < 0 || fstat(fd_, &file) != 0) return std::nullopt;
  return FileIdentity{file.st_dev, file.st_ino};
}

void keep_library_loaded() noexcept {
  Dl_info info{};
  if (dladdr(&judged_files, &info) != 0 && info.dli_fname != nullptr)
    static_cast<void>(dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE));
}

bool descriptors_are_lost() noexcept {
  const std::size_t end = end_of_opened.load(std::memory_order_relaxed);
  for (std::size_t fd = 0; fd < end; ++fd) {
    if (!is_still_there(static_cast<int>(fd), opened[fd])) return true;
  }
  return false;
}

bool has_name(const FileIdentity& file) noexcept {
  const std::size_t end = end_of_opened.load(std::memory_order_relaxed);
  for (std::size_t fd = 0; fd < end; ++fd) {
    struct stat now {};
    if (opened[fd].inode.load(std::memory_order_acquire) != file.inode) continue;
    if (fstat(static_cast<int>(fd), &now) == 0 && FileIdentity{now.st_dev, now.st_ino} == file)
      return now.st_nlink > 0;
  }
  return true;
}

FilesByRule::FilesByRule(const std::string& path, const FileRule& rule)
    : guarded_(std::make_unique<GuardedDescriptors>()) {
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

FilesByRule::FilesByRule(FilesByRule&& other) noexcept
    : guarded_(std::move(other.guarded_)), files_(std::exchange(other.files_, nullptr)) {}

FilesByRule& FilesByRule::operator=(FilesByRule&& other) noexcept {
  std::swap(guarded_, other.guarded_);
  std::swap(files_, other.files_);
  return *this;
}

FilesByRule::~FilesByRule() {
  if (files_ != nullptr) --files_->uses;
}

}  // namespace codewake::internal
