#include "journal/run_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "base/crc32c.hpp"
#include "base/sha256.hpp"
#include "base/uuid.hpp"
#include "codewake/digest.hpp"
#include "codewake/utf8.hpp"
#include "journal/file_io.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSharedMemory = "/dev/shm";
constexpr const char* kLockFile = "lock";
constexpr const char* kAboutFile = "run.json";
constexpr int kFormat = 1;

[[noreturn]] void fail(int error, const fs::path& path) {
  throw std::system_error(error, std::generic_category(), path.string());
}

// For this user alone, parents too.
void make_folders(const fs::path& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return;
  if (errno != ENOENT || path.parent_path() == path) fail(errno, path);
  make_folders(path.parent_path());
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail(errno, path);
}

// Anybody can make a folder in shared memory, with a name that somebody else would choose.
void check_owner(const fs::path& root) {
  struct stat status {};
  if (lstat(root.c_str(), &status) != 0) fail(errno, root);
  if (!S_ISDIR(status.st_mode)) fail(ENOTDIR, root);
  if (status.st_uid != geteuid() || (status.st_mode & 077) != 0) fail(EPERM, root);
}

bool is_in_shared_memory(const fs::path& root) {
  return root.string().starts_with(std::string(kSharedMemory) + "/");
}

std::string root_suffix(const fs::path& journal_folder) {
  std::error_code ignored;
  fs::path path = fs::weakly_canonical(fs::absolute(journal_folder, ignored), ignored);
  if (!path.has_filename()) path = path.parent_path();  // `folder/` is `folder`, whether or not it is there
  return to_hex(sha256(path.string())).substr(0, 12);
}

std::string host() {
  std::array<char, 256> buffer{};
  if (gethostname(buffer.data(), buffer.size() - 1) != 0) return "localhost";
  std::string name(buffer.data());
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.';
    if (!plain) c = '_';
  }
  return name.empty() || name.starts_with('.') ? "localhost" : name.substr(0, 64);
}

// Whether the lock that is held is that of the file which is there now: not of one that was deleted
// meanwhile.
bool is_current(int fd, const fs::path& file) {
  struct stat held {
  }, now{};
  return fstat(fd, &held) == 0 && stat(file.c_str(), &now) == 0 && held.st_dev == now.st_dev &&
         held.st_ino == now.st_ino;
}

// Of what decides whose a journal is.
std::uint32_t checksum_of(const RunAbout& about) {
  const std::string text = about.run + "\n" + about.fingerprint;
  return crc32c(text.data(), text.size());
}

std::string text_of(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

fs::path default_journal_folder() {
  if (geteuid() == 0) return "/var/lib/code_wake/journal";
  const char* state = secure_getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') return fs::path(state) / "code_wake/journal";
  const char* home = secure_getenv("HOME");
  if (home != nullptr && home[0] == '/') return fs::path(home) / ".local/state/code_wake/journal";
  return fmt::format("/var/tmp/code_wake-{}/journal", geteuid());
}

fs::path front_root(const fs::path& journal_folder) {
  return fs::path(kSharedMemory) / fmt::format("code_wake-{}-{}", geteuid(), root_suffix(journal_folder));
}

std::vector<fs::path> front_roots(const fs::path& journal_folder) {
  const std::string suffix = "-" + root_suffix(journal_folder);
  std::vector<fs::path> roots;
  std::error_code error;
  for (fs::directory_iterator entry(kSharedMemory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (!name.starts_with("code_wake-") || !name.ends_with(suffix)) continue;
    struct stat status {};
    const bool mine = lstat(entry->path().c_str(), &status) == 0 && S_ISDIR(status.st_mode) &&
                      (status.st_uid == geteuid() || geteuid() == 0);
    if (mine) roots.push_back(entry->path());
  }
  std::sort(roots.begin(), roots.end());
  return roots;
}

std::string make_run_name(Time start) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(start).time_since_epoch().count();
  return fmt::format("{}-{}-{}-{}", host(), getpid(), seconds, make_uuid());
}

RunFolder RunFolder::create(const fs::path& root, const std::string& run) {
  make_folders(root);
  if (is_in_shared_memory(root)) check_owner(root);
  const fs::path path = root / run;
  // A recoverer may find the folder before it is locked, and take it for a dead one's: it deletes it then,
  // with the root if that is empty, and that takes a moment. The name is nobody else's.
  constexpr std::chrono::seconds kPatience{5};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (bool first = true; first || std::chrono::steady_clock::now() < deadline; first = false) {
    if (!first) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const int error = mkdir(path.c_str(), 0700) == 0 ? 0 : errno;
    if (error == ENOENT) {
      make_folders(root);
      continue;
    }
    if (error != 0 && error != EEXIST) fail(error, path);
    if (auto made = lock(path)) return *std::move(made);
  }
  fail(EBUSY, path);
}

std::optional<RunFolder> RunFolder::take_over(const fs::path& folder) {
  // Without a lock it is being made or deleted, unless something lies there; in neither case is it to be
  // kept.
  if (access((folder / kLockFile).c_str(), F_OK) != 0 && rmdir(folder.c_str()) == 0) return std::nullopt;
  return lock(folder);
}

std::optional<RunFolder> RunFolder::lock(const fs::path& folder) {
  const fs::path file = folder / kLockFile;
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    fail(errno, file);
  }
  if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_current(fd, file)) return RunFolder(folder, fd);
  close(fd);
  return std::nullopt;
}

// The lock is the open file's, and a mapping keeps that open as a descriptor does; but nobody closes it by
// its number. Some file systems cannot map.
RunFolder::RunFolder(fs::path path, int lock_fd) noexcept : path_(std::move(path)), lock_fd_(lock_fd) {
  void* const memory = mmap(nullptr, 1, PROT_NONE, MAP_SHARED, lock_fd, 0);
  if (memory == MAP_FAILED) return;
  lock_memory_ = memory;
  close(std::exchange(lock_fd_, -1));
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      lock_memory_(std::exchange(other.lock_memory_, nullptr)) {}

RunFolder& RunFolder::operator=(RunFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_fd_, other.lock_fd_);
  std::swap(lock_memory_, other.lock_memory_);
  return *this;
}

RunFolder::~RunFolder() {
  unlock();
}

void RunFolder::unlock() noexcept {
  if (lock_fd_ >= 0) close(std::exchange(lock_fd_, -1));
  if (lock_memory_ != nullptr) munmap(std::exchange(lock_memory_, nullptr), 1);
}

void RunFolder::write_about(const RunAbout& about) const {
  const nlohmann::json json = {{"format", kFormat},
                               {"run", about.run},
                               {"fingerprint", about.fingerprint},
                               {"checksum", checksum_of(about)},
                               {"store", to_storable(about.store)},
                               {"executable", to_storable(about.executable)},
                               {"pid", about.pid},
                               {"started", format_time(about.started)}};
  const fs::path file = path_ / kAboutFile;
  const fs::path temporary = path_ / "run.json.new";
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  out << json.dump(2) << '\n';
  out.close();
  if (!out) fail(errno != 0 ? errno : EIO, temporary);
  fs::permissions(temporary, fs::perms::owner_read | fs::perms::owner_write);
  fs::rename(temporary, file);
}

std::error_code RunFolder::sync() const {
  if (const std::error_code error = sync_path(path_ / kAboutFile)) return error;
  fs::path folder = fs::absolute(path_);
  while (true) {
    const std::error_code error = sync_path(folder);
    if (error == std::errc::permission_denied) return {};  // nor was that one made by this user
    if (error || folder == folder.root_path()) return error;
    folder = folder.parent_path();
  }
}

std::optional<RunAbout> RunFolder::read_about() const {
  std::ifstream in(path_ / kAboutFile, std::ios::binary);
  const auto json = nlohmann::json::parse(in, nullptr, false);
  if (!json.is_object() || json.value("format", nlohmann::json()) != kFormat) return std::nullopt;
  RunAbout about{.run = text_of(json, "run"),
                 .fingerprint = text_of(json, "fingerprint"),
                 .store = text_of(json, "store"),
                 .executable = text_of(json, "executable")};
  const auto pid = json.find("pid");
  if (pid != json.end() && pid->is_number_integer()) about.pid = pid->get<std::int64_t>();
  about.started = parse_time(text_of(json, "started")).value_or(Time());
  if (about.run != path_.filename().string() || about.fingerprint.empty()) return std::nullopt;
  if (json.value("checksum", nlohmann::json()) != checksum_of(about)) return std::nullopt;
  return about;
}

std::error_code RunFolder::remove() noexcept {
  std::error_code error;
  // The lock goes last: whoever finds the folder meanwhile must find it locked. What says whose the data is
  // goes after the data, so that whoever is killed here leaves nothing that cannot be recovered.
  for (fs::directory_iterator entry(path_, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename() == kLockFile || entry->path().filename() == kAboutFile) continue;
    std::error_code failed;
    fs::remove_all(entry->path(), failed);
    if (failed) return failed;
  }
  if (!error && unlink((path_ / kAboutFile).c_str()) != 0 && errno != ENOENT) {
    error = {errno, std::generic_category()};
  }
  if (!error && unlink((path_ / kLockFile).c_str()) != 0) error = {errno, std::generic_category()};
  // Where somebody has made a lock anew before the folder went, it is theirs to delete, or they have already.
  if (!error && rmdir(path_.c_str()) != 0 && errno != ENOTEMPTY && errno != ENOENT) {
    error = {errno, std::generic_category()};
  }
  unlock();
  // Memory's own folder goes with the last run in it; one on the disk is somebody's choice.
  if (is_in_shared_memory(path_)) rmdir(path_.parent_path().c_str());
  return error;
}

void RunFolder::close_in_child() noexcept {
  unlock();
}

std::vector<std::string> runs_in(const fs::path& root) {
  std::vector<std::string> runs;
  std::error_code error;
  fs::directory_iterator entry(root, error);
  if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) return runs;
  for (const fs::directory_iterator end; !error && entry != end; entry.increment(error)) {
    // host-pid-start-uuid; the dead/ folder beside them is none.
    const std::string name = entry->path().filename();
    if (std::count(name.begin(), name.end(), '-') >= 7) runs.push_back(name);
  }
  if (error) throw std::system_error(error, root.string());
  std::sort(runs.begin(), runs.end());
  return runs;
}

}  // namespace codewake::internal
