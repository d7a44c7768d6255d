#include "journal/run_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <new>
#include <nlohmann/json.hpp>
#include <string_view>
#include <thread>
#include <utility>

#include "base/bounded_json.hpp"
#include "base/crc32c.hpp"
#include "base/scarce_memory.hpp"
#include "base/uuid.hpp"
#include "codewake/utf8.hpp"
#include "journal/places.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockFile = "lock";
constexpr const char* kAboutFile = "run.json";
constexpr const char* kNewAboutFile = "run.json.new";
constexpr std::size_t kMostAboutBytes = 64u << 10;
constexpr int kMostAboutDepth = 4;
constexpr int kFormat = 1;

[[noreturn]] void fail(const std::error_code& error, const fs::path& path) {
  throw std::system_error(error, path.string());
}

bool is_gone(const std::error_code& error) {
  return error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory;
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

// Of what decides whose a journal is.
std::uint32_t checksum_of(const RunAbout& about) {
  const std::string text = about.run + "\n" + about.fingerprint;
  return crc32c(text.data(), text.size());
}

std::string text_of(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Null where there is none.
std::shared_ptr<const Folder> open_run(const Folder& root, const std::string& run) {
  try {
    return std::make_shared<const Folder>(root.open_own(run));
  } catch (const std::system_error& error) {
    if (is_gone(error.code())) return nullptr;
    throw;
  }
}

}  // namespace

std::string make_run_name(Time start) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(start).time_since_epoch().count();
  return fmt::format("{}-{}-{}-{}", host(), getpid(), seconds, make_uuid());
}

RunFolder RunFolder::create(const fs::path& root, const std::string& run) {
  return create([&root] { return Folder::make(root); }, run);
}

RunFolder RunFolder::create(const std::function<Folder()>& make_root, const std::string& run) {
  // A recoverer may find the folder before it is locked, and take it for a dead one's: it deletes it then,
  // with the root if that is empty, and that takes a moment. No other run has the name.
  constexpr std::chrono::seconds kPatience{5};
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  auto root = std::make_shared<const Folder>(make_root());
  for (bool first = true; first || std::chrono::steady_clock::now() < deadline; first = false) {
    if (!first) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    try {
      root->make_own(run);
      if (auto made = lock(root, run)) return *std::move(made);
    } catch (const std::system_error& error) {
      if (error.code() != std::errc::no_such_file_or_directory) throw;
      root = std::make_shared<const Folder>(make_root());
    }
  }
  fail(std::make_error_code(std::errc::device_or_resource_busy), root->path() / run);
}

std::optional<RunFolder> RunFolder::take_over(std::shared_ptr<const Folder> root, const std::string& run) {
  // Without a lock it is being made or deleted, unless something lies there; in neither case is it to be
  // kept.
  const auto folder = open_run(*root, run);
  if (folder == nullptr || (!folder->has(kLockFile) && !root->remove_folder(run))) return std::nullopt;
  return lock(std::move(root), run);
}

std::optional<RunFolder> RunFolder::lock(std::shared_ptr<const Folder> root, const std::string& run) {
  std::shared_ptr<const Folder> folder = open_run(*root, run);
  if (folder == nullptr) return std::nullopt;
  FileDescriptor file = folder->open_file(kLockFile, O_RDWR | O_CREAT);
  const std::error_code error(errno, std::generic_category());
  if (file.number() < 0 && is_gone(error)) return std::nullopt;
  if (file.number() < 0) fail(error, folder->path() / kLockFile);
  if (flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    // A file system without locks is of no use for a journal: its owner could not be told.
    if (errno != EWOULDBLOCK && errno != EINTR)
      fail({errno, std::generic_category()}, folder->path() / kLockFile);
    return std::nullopt;
  }
  if (!folder->names(kLockFile, file.number())) return std::nullopt;
  return RunFolder(std::move(root), std::move(folder), std::move(file));
}

// The lock is the open file's, and a mapping keeps that open as a descriptor does; but no program closes it
// by its number. Some file systems cannot map.
RunFolder::RunFolder(std::shared_ptr<const Folder> root, std::shared_ptr<const Folder> folder,
                     FileDescriptor lock) noexcept
    : root_(std::move(root)), folder_(std::move(folder)) {
  void* const memory = mmap(nullptr, 1, PROT_NONE, MAP_SHARED, lock.number(), 0);
  if (memory == MAP_FAILED) {
    lock_fd_ = lock.release();
  } else {
    lock_memory_ = memory;
  }
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : root_(std::move(other.root_)),
      folder_(std::move(other.folder_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      lock_memory_(std::exchange(other.lock_memory_, nullptr)) {}

RunFolder& RunFolder::operator=(RunFolder&& other) noexcept {
  std::swap(root_, other.root_);
  std::swap(folder_, other.folder_);
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
  static_cast<void>(folder_->remove_file(kNewAboutFile));  // where there is one, the next line says so
  std::error_code error = folder_->write_new_file(kNewAboutFile, json.dump(2) + '\n', false);
  if (!error) error = folder_->rename(kNewAboutFile, kAboutFile);
  if (error) fail(error, path() / kNewAboutFile);
}

bool RunFolder::is_in_place() const noexcept {
  return folder_->is_at_path();
}

std::error_code RunFolder::sync() const {
  std::error_code error = folder_->sync_file(kAboutFile);
  if (!error) error = folder_->sync();
  return error ? error : folder_->sync_above();
}

std::optional<RunAbout> RunFolder::read_about() const {
  std::optional<std::string> text;
  try {
    text = folder_->read_file(kAboutFile, kMostAboutBytes);
  } catch (const std::system_error&) {
    return std::nullopt;  // a pipe, or a file that cannot be read, says nothing
  }
  if (!text || text->size() > kMostAboutBytes) return std::nullopt;
  const nlohmann::json json = parse_bounded_json(*text, kMostAboutDepth);
  if (!json.is_object() || json.value("format", nlohmann::json()) != kFormat) return std::nullopt;
  RunAbout about{.run = text_of(json, "run"),
                 .fingerprint = text_of(json, "fingerprint"),
                 .store = text_of(json, "store"),
                 .executable = text_of(json, "executable")};
  const auto pid = json.find("pid");
  if (pid != json.end() && pid->is_number_integer()) about.pid = pid->get<std::int64_t>();
  about.started = parse_time(text_of(json, "started")).value_or(Time());
  if (about.run != path().filename().string() || about.fingerprint.empty()) return std::nullopt;
  if (json.value("checksum", nlohmann::json()) != checksum_of(about)) return std::nullopt;
  return about;
}

// The lock goes last: a recoverer that finds the folder meanwhile must find it locked. What says whose the
// data is goes after the data, so that a recoverer that is killed here leaves nothing that cannot be
// recovered.
std::error_code RunFolder::remove_files() const {
  for (const std::string& name : folder_->entries()) {
    if (name == kLockFile || name == kAboutFile) continue;
    if (const std::error_code error = folder_->remove_tree(name)) return error;
  }
  std::error_code error = folder_->remove_file(kAboutFile);
  if (!error || is_gone(error)) error = folder_->remove_file(kLockFile);
  if (error) return error;
  // Where another program has made a lock anew before the folder went, it deletes the folder, or it has
  // already.
  error = root_->remove_folder(path().filename());
  return error == std::errc::directory_not_empty || is_gone(error) ? std::error_code() : error;
}

std::error_code RunFolder::remove() noexcept {
  std::error_code error;
  try {
    error = remove_files();
  } catch (const std::system_error& failed) {
    error = failed.code();
  } catch (const std::bad_alloc&) {
    error = std::make_error_code(std::errc::not_enough_memory);
  }
  unlock();
  // Memory's own folder goes with the last run in it; one on the disk is somebody's choice.
  if_there_is_memory([&] {
    if (is_front_root(root_->path())) static_cast<void>(root_->remove());
  });
  return error;
}

void RunFolder::close_in_child() noexcept {
  unlock();
  folder_.reset();
  root_.reset();
}

}  // namespace codewake::internal
