#include "journal/crash_file.hpp"

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
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/crc32c.hpp"
#include "base/file_size_signal.hpp"
#include "codewake/utf8.hpp"
#include "journal/event_codec.hpp"
#include "journal/file_io.hpp"
#include "stacktrace/crash_handler.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "crash";

// Where the payload of a process has its start and its pid.
constexpr std::size_t kStartOffset = 0;
constexpr std::size_t kPidOffset = 9;

[[noreturn]] void fail(int error, const fs::path& path) {
  throw std::system_error(error, std::generic_category(), path.string());
}

// No allocation, no exception: for a signal handler too.
CrashPage* map_page(int fd) noexcept {
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

CrashPage* make_page_in(int folder_fd) noexcept {
  const int fd = openat(folder_fd, kFile, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return nullptr;
  CrashPage* const page = map_page(fd);
  close(fd);
  return page;
}

void prepare_page(CrashPage& page, std::string_view process, std::uint32_t number, Id id) noexcept {
  std::memcpy(page.magic, kCrashMagic, sizeof page.magic);
  page.version = kCrashVersion;
  page.process_number = number;
  page.process_id = id;
  page.process_bytes = 0;
  if (process.size() > sizeof page.process) return;
  std::memcpy(page.process, process.data(), process.size());
  page.process_bytes = static_cast<std::uint32_t>(process.size());
}

/// Where runs lie. A signal handler makes what is missing of it.
struct Root {
  std::vector<std::string> above;  // the folders that the root lies in, the last one right above it
  std::string name;
};

/// What a signal handler needs in order to make a run.
struct Nest {
  std::vector<Root> roots;
  std::string name_begin;  // `<host>-`
  std::string name_end;    // of the uuid, what follows its first eight digits
  std::string fingerprint;
  std::string about;  // the rest of run.json, from a comma up to the pid
  std::string process;
  Id id;
  pid_t pid;
  const Nest* before;  // nobody knows whether a handler still reads it: none is deleted
};

constinit std::atomic<const Nest*> nest{nullptr};
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
  const char* c_str() const noexcept { return bytes_; }
  std::string_view view() const noexcept { return {bytes_, size_}; }
  bool is_good() const noexcept { return is_good_; }

 private:
  char bytes_[4096] = {};
  std::size_t size_ = 0;
  bool is_good_ = true;
};

std::int64_t now_ns() noexcept {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool write_file(int folder_fd, const char* name, std::string_view content) noexcept {
  const int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return false;
  const bool written = !write_at(fd, content.data(), content.size(), 0);
  close(fd);
  return written;
}

// The lock is held until the process has died.
CrashPage* fill_folder(int folder_fd, const Nest& from, std::string_view run, bool is_same_process) noexcept {
  const int lock = openat(folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
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
  prepare_page(*page, from.process, 0, is_same_process ? from.id : 0);
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
int open_root(const Root& from) noexcept {
  // Whether they are there now, opening the last one tells.
  for (const std::string& folder : from.above) mkdir(folder.c_str(), 0700);  // lint: a signal handler
  const char* const last = from.above.back().c_str();
  const int above = open(last, O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // lint: a signal handler
  if (above < 0) return -1;
  mkdirat(above, from.name.c_str(), 0700);
  const int root = openat(above, from.name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  close(above);
  return root;
}

Root root_of(const fs::path& path) {
  Root root{.above = {}, .name = path.filename().string()};
  fs::path so_far;
  for (const fs::path& part : path.parent_path()) root.above.push_back((so_far /= part).string());
  return root;
}

// Under another name until it is locked: else it might be taken for a dead one's.
CrashPage* make_run_in(int root, const Nest& from, const Text& run, const char* temporary) noexcept {
  if (mkdirat(root, temporary, 0700) != 0) return nullptr;
  const int folder_fd = open_own(root, temporary);
  CrashPage* const page =
      folder_fd < 0 ? nullptr : fill_folder(folder_fd, from, run.view(), getpid() == from.pid);
  const bool is_there = page != nullptr && renameat(root, temporary, root, run.c_str()) == 0;
  if (!is_there) {  // no recoverer would ever look at it
    for (const char* name : {kFile, "run.json", "lock"}) unlinkat(folder_fd, name, 0);
    unlinkat(root, temporary, AT_REMOVEDIR);
  }
  if (folder_fd >= 0) close(folder_fd);
  return is_there ? page : nullptr;
}

CrashPage* make_run() noexcept {
  const Nest* const from = nest.load(std::memory_order_acquire);
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
  for (const Root& place : from->roots) {
    const int root = open_root(place);
    if (root < 0) continue;
    CrashPage* const page = make_run_in(root, *from, run, temporary.c_str());
    close(root);
    if (page != nullptr) return page;
  }
  return nullptr;
}

template <std::size_t N>
void end_text(char (&text)[N]) noexcept {
  text[N - 1] = '\0';
}

}  // namespace

CrashPage* make_crash_page(const Folder& folder, const CrashSubject& subject) {
  static_cast<void>(folder.remove_file(kFile));  // where one is there that cannot go, the next line says so
  FileDescriptor file = folder.open_file(kFile, O_RDWR | O_CREAT | O_EXCL);
  CrashPage* const page = file.number() < 0 ? nullptr : map_page(file.number());
  if (page == nullptr) fail(errno, folder.path() / kFile);
  prepare_page(*page, encode_process(subject.info), subject.number, subject.id);
  return page;
}

void prepare_crash_runs(const std::vector<fs::path>& roots, const RunAbout& about,
                        const CrashSubject& subject) {
  // The name ends in `-<pid>-<start>-<uuid>`, and a uuid has four dashes.
  std::size_t uuid = about.run.size();
  for (int dashes = 0; dashes < 5; ++dashes) uuid = about.run.rfind('-', uuid - 1);
  std::size_t pid = uuid;
  for (int dashes = 0; dashes < 2; ++dashes) pid = about.run.rfind('-', pid - 1);
  const auto quoted = [](const std::string& text) { return nlohmann::json(to_storable(text)).dump(); };
  std::vector<Root> places;
  for (const fs::path& root : roots) places.push_back(root_of(root));
  nest.store(new Nest{.roots = std::move(places),
                      .name_begin = about.run.substr(0, pid + 1),
                      .name_end = about.run.substr(about.run.find('-', uuid + 1)),
                      .fingerprint = about.fingerprint,
                      .about = ", \"store\": " + quoted(about.store) +
                               ", \"executable\": " + quoted(about.executable) + ", \"started\": \"" +
                               format_time(about.started) + "\", \"pid\": ",
                      .process = encode_process(subject.info),
                      .id = subject.id,
                      .pid = getpid(),
                      .before = nest.load(std::memory_order_relaxed)},
             std::memory_order_release);
  set_crash_page_maker(&make_run);
}

void note_crash_child() noexcept {
  child_begin.store(now_ns(), std::memory_order_relaxed);
}

std::unique_ptr<CrashPage> read_crash_page(const Folder& folder) {
  const FileDescriptor file = folder.open_file(kFile, O_RDONLY);
  if (file.number() < 0) {
    if (errno == ENOENT) return nullptr;
    fail(errno, folder.path() / kFile);
  }
  auto page = std::make_unique<CrashPage>();
  const bool whole = read_at(file.number(), page.get(), sizeof *page, 0) == sizeof *page;
  return whole ? checked(std::move(page)) : nullptr;
}

std::unique_ptr<CrashPage> checked(std::unique_ptr<CrashPage> page) {
  if (std::memcmp(page->magic, kCrashMagic, sizeof page->magic) != 0 || page->version != kCrashVersion ||
      page->state == 0) {
    return nullptr;
  }
  page->process_bytes = std::min<std::uint32_t>(page->process_bytes, CrashPage::kMaxProcessBytes);
  page->frames = std::min<std::uint32_t>(page->frames, CrashPage::kMaxFrames);
  page->modules = std::min<std::uint32_t>(page->modules, CrashPage::kMaxModules);
  page->exceptions = std::min<std::uint32_t>(page->exceptions, CrashPage::kMaxExceptions);
  end_text(page->thread_name);
  for (CrashModule& module : page->module) {
    end_text(module.build_id);
    end_text(module.path);
  }
  for (CrashException& exception : page->exception) {
    end_text(exception.type);
    end_text(exception.message);
  }
  return page;
}

}  // namespace codewake::internal
