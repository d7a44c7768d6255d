#include "database_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/trusted_path.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRemedy =
    "keep it in a folder of this user's own, such as /var/lib/code_wake for root and "
    "~/.local/state/code_wake "
    "for others, run as its owner, or share it with a group (group=NAME)";

[[noreturn]] void fail(const std::string& path, std::string_view what, int error, std::string_view remedy) {
  throw StoreError(StoreError::Kind::unavailable,
                   fmt::format("SQLite database {}: {}: {}; {}", path, what,
                               std::generic_category().message(error), remedy));
}

class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const noexcept { return number_; }

 private:
  int number_;
};

/// Enters a folder, and makes it first where it is missing. A folder that was made meanwhile must belong to
/// root or this user: another user may have put it there. A descriptor below 0, with errno, is a failure.
Descriptor enter(const Descriptor& parent, const std::string& name) {
  constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  Descriptor there(openat(parent.number(), name.c_str(), kFlags));
  if (there.number() >= 0 || errno != ENOENT) return there;
  if (mkdirat(parent.number(), name.c_str(), 0700) != 0 && errno != EEXIST) return Descriptor(-1);
  Descriptor made(openat(parent.number(), name.c_str(), kFlags));
  struct stat status {};
  if (made.number() < 0 || fstat(made.number(), &status) != 0) return Descriptor(-1);
  if (status.st_uid == 0 || status.st_uid == geteuid()) return made;
  errno = EPERM;
  return Descriptor(-1);
}

[[noreturn]] void fail_to_make(const fs::path& made, const fs::path& folder, const std::string& database,
                               int error) {
  fail(database, fmt::format("the folder {} is not made", made.string()), error,
       "make the folder " + folder.string() + " for this user, or name another file");
}

/// A folder directly below the root is never made: its name is more likely wrong than wanted.
void require_outermost(const fs::path& folder, const std::string& database) {
  const fs::path outermost = folder.root_path() / *folder.relative_path().begin();
  struct stat status {};
  if (lstat(outermost.c_str(), &status) != 0) fail_to_make(outermost, folder, database, errno);
}

/// Makes the folders that are missing of a path without links, from the outermost to the innermost. Each step
/// is made from the descriptor of the folder before it, and follows no link: another user may swap what is
/// missing.
void make_folders(const fs::path& folder, const std::string& database) {
  fs::path made = folder.root_path();
  Descriptor at(open(made.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const fs::path& part : folder.relative_path()) {
    made /= part;
    Descriptor next = enter(at, part);
    if (next.number() < 0) fail_to_make(made, folder, database, errno);
    at = std::move(next);
  }
}

FollowedPath find_folder(const std::string& database, MissingFolders missing) {
  const fs::path named = fs::path(database).parent_path();
  const Others others = geteuid() == 0 ? Others::none : Others::known;
  FollowedPath folder = follow_path(named, others);
  if (!folder.why_not_trusted.empty() || folder.exists) return folder;
  require_outermost(folder.path, database);
  if (missing == MissingFolders::leave) return folder;
  make_folders(folder.path, database);
  // Another user may have made some of them in the meantime.
  folder = follow_path(named, others);
  if (folder.why_not_trusted.empty() && !folder.exists)
    fail(database, fmt::format("the folder {}", folder.path.string()), ENOENT, "make it");
  return folder;
}

std::string why_not_opened(const std::string& database, const FileRule& rule) {
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    const std::string path = database + suffix;
    struct stat file {};
    if (lstat(path.c_str(), &file) != 0) continue;
    if (const char* const why = why_not_opened(file, rule))
      return fmt::format("{} {} (user {}, mode {:04o})", path, why, file.st_uid, file.st_mode & 07777);
  }
  return {};
}

/// Whether the file system of a file that was made with mode 0600 does not keep modes, as vfat.
bool has_no_modes(const struct stat& made) noexcept {
  return (made.st_mode & 07777 & ~0600u) != 0;
}

/// Gives the file its group and mode, whatever the umask; why not, with errno, or null. A file system without
/// modes gives all its files the mode and group of its mount: why_not_opened() judges these.
const char* prepare(int file, const SqliteParameters& parameters) {
  constexpr mode_t kOwn = 0600, kWithGroup = 0640;
  struct stat made {};
  if (file < 0 || fstat(file, &made) != 0) return "it cannot be made";
  if (parameters.group && made.st_gid != *parameters.group &&
      fchown(file, static_cast<uid_t>(-1), *parameters.group) != 0)
    return "its group cannot be set; this user is not in it";
  const mode_t mode = parameters.mode.value_or(parameters.group ? kWithGroup : kOwn);
  if (fchmod(file, mode) == 0 || has_no_modes(made)) return nullptr;
  return "its mode cannot be set";
}

enum class Named { yes, no, unsupported };

/// Gives a file its name, unless there is a file of that name. `no` comes with errno. `unsupported`: the file
/// system has neither way to do this.
Named rename_if_free(int folder, const std::string& from, const std::string& to) {
  const auto is_unsupported = [] {
    return errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM;
  };
  if (renameat2(folder, from.c_str(), folder, to.c_str(), RENAME_NOREPLACE) == 0) return Named::yes;
  Named named = errno == EEXIST ? Named::yes : Named::no;
  if (is_unsupported()) {
    const bool is_linked = linkat(folder, from.c_str(), folder, to.c_str(), 0) == 0 || errno == EEXIST;
    named = is_linked ? Named::yes : is_unsupported() ? Named::unsupported : Named::no;
  }
  const int error = errno;
  unlinkat(folder, from.c_str(), 0);
  errno = error;
  return named;
}

/// Makes a file and closes it; why not, with errno, or null.
const char* make_file(int folder, const std::string& name, const SqliteParameters& parameters) {
  const Descriptor file(
      openat(folder, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const char* const failed = prepare(file.number(), parameters);
  const int error = errno;
  if (failed != nullptr && file.number() >= 0) unlinkat(folder, name.c_str(), 0);
  errno = error;
  return failed;
}

}  // namespace

const char* why_not_opened(const struct stat& file, const FileRule& rule) noexcept {
  if (S_ISLNK(file.st_mode)) return "is a symbolic link; name the file that it leads to";
  if (S_ISDIR(file.st_mode)) return "is a folder";
  if (!S_ISREG(file.st_mode)) return "is no regular file, but a device, a pipe or a socket";
  if (rule.only_read) return nullptr;
  if (rule.others_make_names && file.st_nlink > 1)
    return "has other names, and lies in a folder in which other users can make some";
  const uid_t user = geteuid();
  const bool is_root = user == 0;
  const bool is_own = file.st_uid == 0 || file.st_uid == user;
  const bool is_of_group = rule.group && file.st_gid == *rule.group;
  if ((is_root || rule.group) && (file.st_mode & S_IWOTH) != 0) return "can be written by all users";
  if (!is_own && !(is_of_group && !is_root) && (is_root || rule.others_make_names || rule.group))
    return "belongs to another user";
  if (is_root && (file.st_mode & S_IWGRP) != 0 && file.st_gid != 0 && !is_of_group)
    return "can be written by its group";
  return nullptr;
}

DatabasePlace find_database(const SqliteParameters& parameters, MissingFolders missing) {
  DatabasePlace place{.parameters = parameters};
  if (parameters.memory) return place;
  std::string& path = place.parameters.path;
  const FollowedPath folder = find_folder(path, missing);
  std::string why = folder.why_not_trusted;
  if (why.empty() && !folder.exists) {
    place.is_missing = true;
  } else if (why.empty()) {
    path = (folder.path / fs::path(path).filename()).string();
    struct stat status {};
    if (lstat(folder.path.c_str(), &status) != 0) fail(path, "its folder", errno, "make it");
    place.rule.others_make_names = (status.st_mode & (geteuid() == 0 ? S_IWGRP | S_IWOTH : S_IWOTH)) != 0;
    place.rule.group = parameters.group;
    why = why_not_opened(path, place.rule);
    place.is_missing = lstat(path.c_str(), &status) != 0 && errno == ENOENT;
  } else {
    std::error_code ignored;
    const fs::path led_to = fs::canonical(fs::path(path).parent_path(), ignored);
    if (!led_to.empty()) path = (led_to / fs::path(path).filename()).string();
  }
  if (why.empty()) return place;
  place.rule = {.only_read = true};
  place.why_not_written = fmt::format(
      "SQLite database {}: this process does not write there, for another user could have put it "
      "there or changed it: {}; {}",
      parameters.path, why, kRemedy);
  return place;
}

// The file is closed before it gets its name: closing it later would drop the locks that another thread of
// this process has on it by then, as is the way of POSIX.
void make_database_file(const DatabasePlace& place) {
  const std::string& path = place.parameters.path;
  const std::string name = fs::path(path).filename();
  struct stat status {};
  if (lstat(path.c_str(), &status) == 0) return;
  constexpr std::string_view kRemedyHere = "let this user write its folder, and see mode= and group=";
  const Descriptor folder(
      open(fs::path(path).parent_path().c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.number() < 0) fail(path, "its folder cannot be opened", errno, kRemedyHere);
  static std::atomic<unsigned> count{0};
  const std::string unnamed = fmt::format(".{}.{}-{}-{:x}", name, getpid(), ++count,
                                          std::chrono::steady_clock::now().time_since_epoch().count());
  if (const char* const failed = make_file(folder.number(), unnamed, place.parameters))
    fail(path, failed, errno, kRemedyHere);
  const Named named = rename_if_free(folder.number(), unnamed, name);
  if (named == Named::no) fail(path, "it cannot be made", errno, kRemedyHere);
  if (named == Named::yes) return;
  // As vfat: there the file has its name from the start, and for a moment the mode 0600.
  const char* const failed = make_file(folder.number(), name, place.parameters);
  if (failed != nullptr && errno != EEXIST) fail(path, failed, errno, kRemedyHere);
}

}  // namespace codewake::internal
