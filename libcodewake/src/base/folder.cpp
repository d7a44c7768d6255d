#include "base/folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "base/file_size_signal.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

// Searching a folder is enough to reach what is in it: it need not be readable, nor does its file system
// answer.
constexpr int kFolder = O_PATH | O_DIRECTORY | O_CLOEXEC;
constexpr int kReadFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOCTTY;

std::error_code last_error() noexcept {
  return {errno, std::generic_category()};
}

std::error_code as_error(int result) noexcept {
  return result == 0 ? std::error_code() : last_error();
}

// Whether the process has called chroot() since the first folder was opened.
bool has_changed_root() noexcept {
  const auto identity = [] {
    struct stat root {};
    return stat("/", &root) == 0 ? std::pair(root.st_dev, root.st_ino) : std::pair<dev_t, ino_t>();
  };
  static const auto first = identity();
  return identity() != first;
}

[[noreturn]] void fail(int error, const fs::path& path) {
  throw std::system_error(error, std::generic_category(), path.string());
}

bool is_dots(const char* name) noexcept {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

// What the kernel knows already of a file will do: a file system of another user may never answer.
bool look(int folder, const std::string& name, FileLook& found) noexcept {
  struct statx status {};
  constexpr int kFlags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  if (statx(folder, name.c_str(), kFlags, STATX_TYPE | STATX_UID | STATX_INO, &status) != 0) return false;
  found = {.device = makedev(status.stx_dev_major, status.stx_dev_minor),
           .inode = status.stx_ino,
           .owner = status.stx_uid,
           .is_folder = S_ISDIR(status.stx_mode)};
  return true;
}

// Not into another file system: what is mounted there may say what it likes of owners. Some systems filter
// openat2.
FileDescriptor open_folder_below(int folder, const std::string& name) noexcept {
  open_how how{};
  how.flags = kFolder | O_NOFOLLOW;
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
  const long opened = syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how);
  if (opened >= 0 || (errno != ENOSYS && errno != EPERM)) return FileDescriptor(static_cast<int>(opened));
  struct stat above {
  }, below{};
  FileDescriptor found(openat(folder, name.c_str(), kFolder | O_NOFOLLOW));
  if (found.number() < 0 || fstat(folder, &above) != 0 || fstat(found.number(), &below) != 0)
    return FileDescriptor(-1);
  if (above.st_dev == below.st_dev) return found;
  errno = EXDEV;
  return FileDescriptor(-1);
}

std::error_code write_all(int fd, std::string_view content) noexcept {
  const NoFileSizeSignal guard;
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

std::error_code sync_descriptor(int fd) noexcept {
  // Some file systems have nothing to sync a folder for, and say EINVAL.
  return fsync(fd) == 0 || errno == EINVAL ? std::error_code() : last_error();
}

}  // namespace

/// The folder's descriptor for one call: the one that is held, or a new one where the program has closed
/// that.
class Folder::Use {
 public:
  explicit Use(const Folder& folder) noexcept {
    if (folder.held_.is_open()) {
      number_ = folder.held_.fd();
      return;
    }
    again_ = FileDescriptor(::open(folder.path_.c_str(), kFolder | O_NOFOLLOW));
    if (again_.number() < 0) return;
    if (folder.held_.is_same(again_.number())) {
      number_ = again_.number();
    } else {
      errno = ESTALE;
    }
  }

  /// Negative, with errno, where it cannot be had.
  int number() const noexcept { return number_; }

 private:
  FileDescriptor again_{-1};
  int number_ = -1;
};

Folder::Folder(fs::path path, FileDescriptor folder) : path_(std::move(path)) {
  static_cast<void>(has_changed_root());
  struct stat status {};
  if (fstat(folder.number(), &status) != 0) fail(errno, path_);
  owner_ = status.st_uid;
  held_ = HeldFile(std::move(folder));
}

Folder Folder::open(const fs::path& path) {
  FileDescriptor folder(::open(path.c_str(), kFolder));
  if (folder.number() < 0) fail(errno, path);
  // So that the last part is no link when the folder is opened again.
  std::error_code error;
  fs::path real = fs::canonical(path, error);
  return Folder(error ? path : std::move(real), std::move(folder));
}

Folder Folder::make(const fs::path& path) {
  const fs::path absolute = fs::absolute(path);
  FileDescriptor at(::open("/", kFolder));
  fs::path so_far = "/";
  for (const fs::path& part : absolute.relative_path()) {
    if (part.empty()) continue;
    so_far /= part;
    FileDescriptor next(openat(at.number(), part.c_str(), kFolder));
    if (next.number() < 0 && errno == ENOENT) {
      if (mkdirat(at.number(), part.c_str(), 0700) != 0 && errno != EEXIST) fail(errno, so_far);
      next = FileDescriptor(openat(at.number(), part.c_str(), kFolder));
    }
    if (next.number() < 0) fail(errno, so_far);
    at = std::move(next);
  }
  return open(absolute);
}

Folder Folder::open_own(const std::string& name) const {
  const fs::path path = path_ / name;
  const Use use(*this);
  if (use.number() < 0) fail(errno, path);
  FileDescriptor folder = open_folder_below(use.number(), name);
  struct stat status {};
  if (folder.number() < 0 || fstat(folder.number(), &status) != 0)
    fail(errno == ELOOP ? ENOTDIR : errno == EXDEV ? EPERM : errno, path);
  if (status.st_uid != geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) fail(EPERM, path);
  return Folder(path, std::move(folder));
}

Folder Folder::make_own(const std::string& name) const {
  {
    const Use use(*this);
    if (use.number() < 0) fail(errno, path_);
    if (mkdirat(use.number(), name.c_str(), 0700) != 0 && errno != EEXIST) fail(errno, path_ / name);
  }
  return open_own(name);
}

FileDescriptor Folder::open_file(const std::string& name, int flags) const noexcept {
  const Use use(*this);
  if (use.number() < 0) return FileDescriptor(-1);
  constexpr int kSafe = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  FileDescriptor file(openat(use.number(), name.c_str(), flags | kSafe, 0600));
  if (file.number() < 0) return file;
  struct stat status {};
  if (fstat(file.number(), &status) != 0) return FileDescriptor(-1);
  const bool is_regular = S_ISREG(status.st_mode);
  if (is_regular && (status.st_uid == owner_ || (flags & O_EXCL) != 0)) return file;
  errno = is_regular ? EPERM : EINVAL;
  return FileDescriptor(-1);
}

std::optional<std::string> Folder::read_file(const std::string& name, std::size_t most_bytes) const {
  const FileDescriptor file = open_file(name, O_RDONLY);
  if (file.number() < 0 && errno == ENOENT) return std::nullopt;
  if (file.number() < 0) fail(errno, path_ / name);
  std::string content;
  constexpr std::size_t kPiece = 64u << 10;
  while (content.size() <= most_bytes) {
    const std::size_t before = content.size();
    content.resize(std::min(before + kPiece, most_bytes + 1));
    const ssize_t size = read(file.number(), content.data() + before, content.size() - before);
    content.resize(before + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    if (size < 0 && errno != EINTR) fail(errno, path_ / name);
    if (size == 0) break;
  }
  return content;
}

std::error_code Folder::write_new_file(const std::string& name, std::string_view content,
                                       bool sync) const noexcept {
  const FileDescriptor file = open_file(name, O_WRONLY | O_CREAT | O_EXCL);
  if (file.number() < 0) return last_error();
  std::error_code error = write_all(file.number(), content);
  if (!error && sync) error = as_error(fdatasync(file.number()));
  if (error) static_cast<void>(remove_file(name));  // the first error is the one to tell
  return error;
}

std::error_code Folder::rename(const std::string& from, const std::string& to) const noexcept {
  const Use use(*this);
  if (use.number() < 0) return last_error();
  return as_error(renameat(use.number(), from.c_str(), use.number(), to.c_str()));
}

std::error_code Folder::remove_file(const std::string& name) const noexcept {
  const Use use(*this);
  if (use.number() < 0) return last_error();
  return as_error(unlinkat(use.number(), name.c_str(), 0));
}

std::error_code Folder::remove_folder(const std::string& name) const noexcept {
  const Use use(*this);
  if (use.number() < 0) return last_error();
  return as_error(unlinkat(use.number(), name.c_str(), AT_REMOVEDIR));
}

std::error_code Folder::remove_tree(const std::string& name) const {
  std::error_code error = remove_file(name);
  if (error != std::errc::is_a_directory) return error;
  try {
    const Folder below = open_own(name);
    for (const std::string& entry : below.entries()) {
      if (const std::error_code failed = below.remove_tree(entry)) return failed;
    }
  } catch (const std::system_error& failed) {
    return failed.code();
  }
  return remove_folder(name);
}

bool Folder::look_at(const std::string& name, FileLook& found) const noexcept {
  const Use use(*this);
  return use.number() >= 0 && look(use.number(), name, found);
}

bool Folder::has(const std::string& name) const noexcept {
  FileLook found;
  return look_at(name, found);
}

bool Folder::names(const std::string& name, int descriptor) const noexcept {
  struct stat held {};
  FileLook now;
  return fstat(descriptor, &held) == 0 && look_at(name, now) && held.st_dev == now.device &&
         held.st_ino == now.inode;
}

std::uint32_t Folder::file_system_type() const noexcept {
  const Use use(*this);
  struct statfs system {};
  const bool is_known = use.number() >= 0 && fstatfs(use.number(), &system) == 0;
  return is_known ? static_cast<std::uint32_t>(system.f_type) : 0;
}

bool Folder::is_at_path() const noexcept {
  const Use use(*this);
  struct stat held {
  }, now{};
  const bool is_known =
      use.number() >= 0 && fstat(use.number(), &held) == 0 && stat(path_.c_str(), &now) == 0;
  const int error = errno;
  if (!is_known && error != ENOENT && error != ENOTDIR && error != ESTALE) return true;
  if (is_known && held.st_dev == now.st_dev && held.st_ino == now.st_ino) return true;
  return has_changed_root();  // what the path names from here says nothing
}

std::vector<std::string> Folder::entries() const {
  const Use use(*this);
  if (use.number() < 0) fail(errno, path_);
  // Another open file: the position in the folder is the open file's.
  FileDescriptor again(openat(use.number(), ".", kReadFolder));
  if (again.number() < 0) fail(errno, path_);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(fdopendir(again.number()), &closedir);
  if (listing == nullptr) fail(errno, path_);
  again.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* const entry = readdir(listing.get())) {
    if (!is_dots(entry->d_name)) names.emplace_back(entry->d_name);
    errno = 0;
  }
  if (errno != 0) fail(errno, path_);
  return names;
}

std::vector<std::string> Folder::folders_of(uid_t user) const {
  std::vector<std::string> names = entries();
  const Use use(*this);
  if (use.number() < 0) fail(errno, path_);
  std::erase_if(names, [&](const std::string& name) {
    FileLook found;
    return !look(use.number(), name, found) || !found.is_folder || found.owner != user;
  });
  return names;
}

std::error_code Folder::sync_file(const std::string& name) const noexcept {
  const FileDescriptor file = open_file(name, O_RDONLY);
  return file.number() < 0 ? last_error() : sync_descriptor(file.number());
}

std::error_code Folder::sync() const noexcept {
  const Use use(*this);
  if (use.number() < 0) return last_error();
  const FileDescriptor folder(openat(use.number(), ".", kReadFolder));
  return folder.number() < 0 ? last_error() : sync_descriptor(folder.number());
}

std::error_code Folder::sync_above() const {
  std::error_code error;
  for (fs::path above = path_; !error && above.has_relative_path();) {
    above = above.parent_path();
    const FileDescriptor folder(::open(above.c_str(), kReadFolder));
    if (folder.number() < 0 && errno == EACCES) break;  // nor was that one made by this user
    error = folder.number() < 0 ? last_error() : sync_descriptor(folder.number());
  }
  return error;
}

std::error_code Folder::remove() const noexcept {
  try {
    const FileDescriptor above(::open(path_.parent_path().c_str(), kFolder));
    const std::string name = path_.filename();
    const FileDescriptor there(openat(above.number(), name.c_str(), kFolder | O_NOFOLLOW));
    if (there.number() < 0) return last_error();
    if (!held_.is_same(there.number())) return {ESTALE, std::generic_category()};
    return as_error(unlinkat(above.number(), name.c_str(), AT_REMOVEDIR));
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

}  // namespace codewake::internal
