#include "journal/crash_nest.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/crc32c.hpp"
#include "base/file_descriptor.hpp"
#include "base/file_size_signal.hpp"
#include "stacktrace/crash_handler.hpp"

namespace codewake::internal {
namespace {

// Where the payload of a process has its start and its pid.
constexpr std::size_t kStartOffset = 0;
constexpr std::size_t kPidOffset = 9;

constinit std::atomic<const CrashNest*> nest{nullptr};
constinit std::atomic<std::int64_t> child_begin{0};

/// Text put together in a signal handler, of which there is one at a time; what does not fit makes it bad.
/// Large, and the handler's stack may be small: each has to be static.
class Text {
 public:
  Text& operator+=(std::string_view text) noexcept {
    if (text.size() >= sizeof bytes_ - size_) {
      is_good_ = false;
      return *this;
    }
    std::memcpy(bytes_ + size_, text.data(), text.size());
    size_ += text.size();
    bytes_[size_] = '\0';
    return *this;
  }
  Text& operator+=(std::int64_t number) noexcept {
    char digits[24];
    const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
    return *this += std::string_view(digits, static_cast<std::size_t>(end - digits));
  }
  void clear() noexcept {
    size_ = 0;
    bytes_[0] = '\0';
    is_good_ = true;
  }
  /// Ends it at this position for now, and goes on there again.
  void cut_at(std::size_t position) noexcept { cut_ = std::exchange(bytes_[position], '\0'); }
  void mend_at(std::size_t position) noexcept { bytes_[position] = cut_; }
  const char* c_str() const noexcept { return bytes_; }
  std::string_view view() const noexcept { return {bytes_, size_}; }
  bool is_good() const noexcept { return is_good_; }

 private:
  char bytes_[4096] = {};
  char cut_ = '\0';
  std::size_t size_ = 0;
  bool is_good_ = true;
};

std::int64_t now_ns() noexcept {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool write_file(int folder_fd, const char* name, std::string_view content) noexcept {
  const int fd =
      beyond_standard(openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd < 0) return false;
  const NoFileSizeSignal guard;
  ssize_t written = 0;
  do {
    written = write(fd, content.data(), content.size());
  } while (written < 0 && errno == EINTR);
  close(fd);
  return written == static_cast<ssize_t>(content.size());
}

CrashPage* make_page_in(int folder_fd) noexcept {
  const int fd = beyond_standard(
      openat(folder_fd, kCrashFile, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd < 0) return nullptr;
  CrashPage* const page = map_crash_page(fd);
  close(fd);
  return page;
}

// The lock is held until the process has died.
CrashPage* fill_folder(int folder_fd, const CrashNest& from, std::string_view run,
                       bool is_same_process) noexcept {
  const int lock =
      beyond_standard(openat(folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0) return nullptr;
  static constinit Text checked;
  checked.clear();
  checked += run;
  checked += "\n";
  checked += from.fingerprint;
  static constinit Text about;
  about.clear();
  about += "{\"format\": 1, \"run\": \"";
  about += run;
  about += "\", \"fingerprint\": \"";
  about += from.fingerprint;
  about += "\", \"checksum\": ";
  about += std::int64_t{crc32c(checked.view().data(), checked.view().size())};
  about += from.about;
  about += getpid();
  about += "}\n";
  if (!checked.is_good() || !about.is_good() || !write_file(folder_fd, "run.json", about.view()))
    return nullptr;
  CrashPage* const page = make_page_in(folder_fd);
  if (page == nullptr) return nullptr;
  prepare_crash_page(*page, from.process, 0, is_same_process ? from.id : 0);
  if (!is_same_process && page->process_bytes > kPidOffset + sizeof(std::int64_t)) {
    const std::int64_t begin = child_begin.load(std::memory_order_relaxed);
    const std::int64_t start = begin != 0 ? begin : now_ns();
    const std::int64_t pid = getpid();
    std::memcpy(page->process + kStartOffset, &start, sizeof start);
    std::memcpy(page->process + kPidOffset, &pid, sizeof pid);
  }
  return page;
}

// A folder of this user, for this user alone; negative where it is another's. `folder` is a descriptor.
int open_own(int folder, const char* name) noexcept {
  const int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  struct stat status {};
  if (fd < 0) return -1;
  if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0)
    return fd;
  close(fd);
  return -1;
}

// In memory it goes with the last run in it. It may be shared with other users: what is made in it is not.
int open_root(const char* path) noexcept {
  static constinit Text above;
  above.clear();
  above += path;
  if (!above.is_good()) return -1;
  const std::size_t last = above.view().rfind('/');
  if (last == std::string_view::npos) return -1;
  // Whether they are there now, opening the last one tells.
  for (std::size_t slash = above.view().find('/', 1); slash != std::string_view::npos && slash <= last;
       slash = above.view().find('/', slash + 1)) {
    above.cut_at(slash);
    mkdir(above.c_str(), 0700);  // lint: a signal handler
    above.mend_at(slash);
  }
  above.cut_at(last == 0 ? 1 : last);
  const int parent = open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // lint: a signal handler
  if (parent < 0) return -1;
  const char* const name = path + last + 1;
  mkdirat(parent, name, 0700);
  const int root = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  close(parent);
  return root;
}

// Under another name until it is locked: else it might be taken for a dead one's.
CrashPage* make_run_in(int root, const CrashNest& from, const Text& run, const char* temporary) noexcept {
  if (mkdirat(root, temporary, 0700) != 0) return nullptr;
  const int folder_fd = open_own(root, temporary);
  CrashPage* const page =
      folder_fd < 0 ? nullptr : fill_folder(folder_fd, from, run.view(), getpid() == from.pid);
  const bool is_there = page != nullptr && renameat(root, temporary, root, run.c_str()) == 0;
  if (!is_there) {  // no recoverer would ever look at it
    for (const char* name : {kCrashFile, "run.json", "lock"}) unlinkat(folder_fd, name, 0);
    unlinkat(root, temporary, AT_REMOVEDIR);
  }
  if (folder_fd >= 0) close(folder_fd);
  return is_there ? page : nullptr;
}

CrashPage* make_run() noexcept {
  const CrashNest* const from = nest.load(std::memory_order_acquire);
  if (from == nullptr) return nullptr;
  const std::int64_t now = now_ns();
  static constinit Text run;
  run.clear();
  run += from->name_begin;
  run += getpid();
  run += "-";
  run += now / 1'000'000'000;
  run += "-";
  for (int shift = 28; shift >= 0; shift -= 4)
    run += std::string_view(&"0123456789abcdef"[now >> shift & 15], 1);
  run += from->name_end;
  static constinit Text temporary;
  temporary.clear();
  temporary += "crash.";
  temporary += now;
  if (!run.is_good()) return nullptr;
  for (const char* const place : from->roots) {
    const int root = open_root(place);
    if (root < 0) continue;
    CrashPage* const page = make_run_in(root, *from, run, temporary.c_str());
    close(root);
    if (page != nullptr) return page;
  }
  return nullptr;
}

}  // namespace

CrashPage* map_crash_page(int fd) noexcept {
  const NoFileSizeSignal guard;
  // A page that is not there when it is written to would be another signal.
  if (const int error = posix_fallocate(fd, 0, sizeof(CrashPage)); error != 0) {
    errno = error;
    return nullptr;
  }
  void* const memory =
      mmap(nullptr, sizeof(CrashPage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<CrashPage*>(memory);
}

void prepare_crash_page(CrashPage& page, std::string_view process, std::uint32_t number,
                        std::int64_t id) noexcept {
  std::memcpy(page.magic, kCrashMagic, sizeof page.magic);
  page.version = kCrashVersion;
  page.process_number = number;
  page.process_id = id;
  page.process_bytes = 0;
  if (process.size() > sizeof page.process) return;
  std::memcpy(page.process, process.data(), process.size());
  page.process_bytes = static_cast<std::uint32_t>(process.size());
}

void use_crash_nest(const CrashNest& from) noexcept {
  nest.store(&from, std::memory_order_release);
  set_crash_page_maker(&make_run);
}

void note_crash_child() noexcept {
  child_begin.store(now_ns(), std::memory_order_relaxed);
}

}  // namespace codewake::internal
