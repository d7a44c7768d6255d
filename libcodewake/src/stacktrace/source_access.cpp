#include "stacktrace/source_access.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

// For kernels and sandboxes without openat2: a symbolic link anywhere ends it, also one that leads nowhere
// else.
FileDescriptor look_without_links(int folder, const fs::path& path) {
  FileDescriptor at(openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const fs::path& part : path) {
    if (at.number() < 0 || part == "..") return FileDescriptor(-1);
    if (part.empty() || part == ".") continue;
    at = FileDescriptor(openat(at.number(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  return at;
}

// What a relative path leads to from a folder; `resolve` is openat2's.
FileDescriptor look(int folder, const fs::path& path, std::uint64_t resolve) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  const long found = syscall(SYS_openat2, folder, path.c_str(), &how, sizeof how);
  if (found >= 0) return FileDescriptor(static_cast<int>(found));
  if (errno != ENOSYS && errno != EPERM && errno != EAGAIN) return FileDescriptor(-1);
  return look_without_links(folder, path);
}

bool has_one_name(const std::optional<OpenFile>& file) {
  return file && file->status.st_nlink == 1;
}

bool is_same_file(const std::optional<OpenFile>& file, const OpenFile& other) {
  return file && file->status.st_dev == other.status.st_dev && file->status.st_ino == other.status.st_ino;
}

// The way from a folder to a path below it; empty where the path lies elsewhere.
fs::path way_from(const fs::path& folder, const fs::path& path) {
  const fs::path way = path.lexically_normal().lexically_relative(folder);
  return way.empty() || *way.begin() == ".." || way == "." ? fs::path() : way;
}

fs::path without_leading_steps(const fs::path& path) {
  fs::path inner;
  bool is_leading = true;
  for (const fs::path& part : path.lexically_normal()) {
    is_leading = is_leading && part == "..";
    if (!is_leading) inner /= part;
  }
  return inner;
}

}  // namespace

std::optional<OpenFile> open_own_source(const std::string& path, std::uint64_t max_bytes) {
  if (path.empty() || path.find('\0') != std::string::npos) return std::nullopt;
  if (auto file = open_stable(path, max_bytes)) return file;
  if (geteuid() == 0 || is_privileged()) return std::nullopt;
  const FileDescriptor root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const fs::path way = fs::path(path).lexically_normal();
  if (!way.is_absolute()) return std::nullopt;
  auto file = open_regular(look(root.number(), way.relative_path(), RESOLVE_NO_SYMLINKS), max_bytes);
  return has_one_name(file) ? std::move(file) : std::nullopt;
}

SourceFolders::SourceFolders(std::vector<std::string> folders) {
  for (const std::string& folder : folders) {
    fs::path normal = fs::path(folder).lexically_normal();
    if (!normal.has_filename()) normal = normal.parent_path();  // it ended with a slash
    if (normal.is_absolute()) folders_.push_back(normal.string());
  }
}

std::string SourceFolders::locate(const std::string& path) const {
  const fs::path recorded(path);
  for (const std::string& folder : folders_) {
    const fs::path candidate = recorded.is_absolute() ? recorded.lexically_normal()
                                                      : fs::path(folder) / without_leading_steps(recorded);
    if (open(candidate.string(), UINT64_MAX)) return candidate.string();
  }
  return {};
}

std::optional<OpenFile> SourceFolders::open(const std::string& path, std::uint64_t max_bytes) const {
  if (path.find('\0') != std::string::npos) return std::nullopt;
  for (const std::string& folder : folders_) {
    const fs::path way = way_from(folder, path);
    if (way.empty()) continue;
    const FileDescriptor from(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (from.number() < 0) continue;
    auto file = open_regular(look(from.number(), way, RESOLVE_BENEATH), max_bytes);
    if (has_one_name(file)) return file;
    // Another user may have made the other name, and may remove it or exchange it at any moment.
    auto stable = open_stable((fs::path(folder) / way).string(), max_bytes);
    if (file && is_same_file(stable, *file)) return stable;
  }
  return std::nullopt;
}

}  // namespace codewake::internal
