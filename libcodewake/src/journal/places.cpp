#include "journal/places.hpp"

#include <fmt/format.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/file_descriptor.hpp"
#include "base/sha256.hpp"
#include "codewake/digest.hpp"
#include "codewake/trusted_path.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

// A folder that the system provides, and the folders of ours in it.
struct FrontPlace {
  fs::path base;
  std::vector<std::string> names;
  bool must_have_room = false;  // it serves others, too, who fail without

  fs::path path() const {
    fs::path path = base;
    for (const std::string& name : names) path /= name;
    return path;
  }
};

// The same for every way to write the path. A part that cannot be looked into stays as it is written.
std::string suffix_of(const fs::path& journal_folder) {
  const fs::path absolute = fs::absolute(journal_folder);
  std::error_code error;
  fs::path path = fs::weakly_canonical(absolute, error);
  if (error) path = absolute.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // `folder/` is `folder`, whether or not it is there
  return to_hex(sha256(path.string())).substr(0, 12);
}

std::vector<FrontPlace> front_places(const fs::path& journal_folder) {
  const std::string suffix = suffix_of(journal_folder);
  const uid_t user = geteuid();
  const fs::path own = user == 0 ? fs::path("/run") : fs::path("/run/user") / std::to_string(user);
  return {{.base = own, .names = {"code_wake", suffix}, .must_have_room = true},
          {.base = "/dev/shm", .names = {fmt::format("code_wake-{}-{}", user, suffix)}}};
}

// An error number; 0 where fronts may be made there.
int check_place(const FrontPlace& place, std::uint64_t size_bytes) {
  struct statfs system {};
  if (statfs(place.base.c_str(), &system) != 0) return errno;
  if (!why_not_trusted(place.base).empty()) return EPERM;
  if (!place.must_have_room) return 0;
  if (system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC) return ENODEV;
  constexpr std::uint64_t kPart = 4;  // the rest is for those whom it also serves
  const auto free_bytes =
      static_cast<std::uint64_t>(system.f_bavail) * static_cast<std::uint64_t>(system.f_bsize);
  return system.f_type == TMPFS_MAGIC && free_bytes / kPart < size_bytes ? ENOSPC : 0;
}

Folder make_in(const FrontPlace& place) {
  Folder folder = Folder::open(place.base);
  for (const std::string& name : place.names) folder = folder.make_own(name);
  return folder;
}

// What `take` makes of the first place that serves; where it fails, of the next.
template <class Take>
auto with_front_place(const fs::path& journal_folder, std::uint64_t size_bytes, Take take) {
  fs::path problem;
  int error = 0;
  for (const FrontPlace& place : front_places(journal_folder)) {
    error = check_place(place, size_bytes);
    try {
      if (error == 0) return take(place);
    } catch (const std::system_error& failed) {
      error = failed.code().value();
    }
    problem = place.path();
  }
  throw std::system_error(error, std::generic_category(), problem.string());
}

// What a process of a namespace, and all that it has mounted, ends with.
bool is_in_first_pid_namespace() {
  constexpr ino_t kFirst = 0xEFFFFFFC;  // PROC_PID_INIT_INO of the kernel
  struct stat status {};
  if (stat("/proc/self/ns/pid", &status) != 0) return true;  // lint: the system's path
  return status.st_ino == kFirst;
}

// A mount of the machine's first process has the number of the file system as its third word. What it has
// mounted early stands first.
bool is_seen_by_first_process(dev_t file_system) {
  const FileDescriptor file("/proc/1/mountinfo");  // lint: the system's path
  if (file.number() < 0) return true;              // nothing speaks against it
  const std::string number = fmt::format(" {}:{} ", major(file_system), minor(file_system));
  std::string line;
  std::array<char, 4096> piece;
  for (ssize_t size = 0; (size = read(file.number(), piece.data(), piece.size())) > 0;) {
    for (const char c : std::string_view(piece.data(), static_cast<std::size_t>(size))) {
      line += c;
      if (c != '\n') continue;
      const std::size_t parent = line.find(' ');
      if (parent != std::string::npos && line.find(number, parent + 1) == line.find(' ', parent + 1))
        return true;
      line.clear();
    }
  }
  return false;
}

// All that there could be, whether or not it is to be trusted.
std::vector<fs::path> journal_candidates() {
  if (geteuid() == 0) return {"/var/lib/code_wake/journal"};
  std::vector<fs::path> places;
  const char* const state = secure_getenv("XDG_STATE_HOME");
  if (state != nullptr && state[0] == '/') places.push_back(fs::path(state) / "code_wake/journal");
  const char* const home = secure_getenv("HOME");
  if (home != nullptr && home[0] == '/') places.push_back(fs::path(home) / ".local/state/code_wake/journal");
  places.push_back(fmt::format("/var/tmp/code_wake-{}/journal", geteuid()));
  return places;
}

}  // namespace

std::vector<fs::path> default_journal_folders() {
  std::vector<fs::path> places = journal_candidates();
  std::erase_if(places, [](const fs::path& place) { return !why_not_trusted(place).empty(); });
  return places;
}

fs::path default_journal_folder() {
  const std::vector<fs::path> places = default_journal_folders();
  return places.empty() ? journal_candidates().back() : places.front();
}

std::vector<fs::path> front_roots(const fs::path& journal_folder) {
  std::vector<fs::path> roots;
  for (const FrontPlace& place : front_places(journal_folder)) roots.push_back(place.path());
  return roots;
}

bool is_front_root(const fs::path& root) {
  const fs::path above = root.parent_path();
  if (above == "/dev/shm") return root.filename().string().starts_with("code_wake-");
  return above.filename() == "code_wake" && above.string().starts_with("/run/");
}

fs::path choose_front_root(const fs::path& journal_folder, std::uint64_t size_bytes) {
  return with_front_place(journal_folder, size_bytes, [](const FrontPlace& place) { return place.path(); });
}

bool outlives_program(const Folder& front_root) {
  FileLook found;
  return is_in_first_pid_namespace() &&
         (!front_root.look_at(".", found) || is_seen_by_first_process(found.device));
}

bool keeps_fronts(const Folder& folder) noexcept {
  constexpr std::uint32_t kZfs = 0x2FC12FC1, kBcachefs = 0xCA451A4E;
  switch (folder.file_system_type()) {
    case 0:
    case TMPFS_MAGIC:
    case RAMFS_MAGIC:
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case V9FS_MAGIC:
    case CEPH_SUPER_MAGIC:
    case CODA_SUPER_MAGIC:
    case AFS_SUPER_MAGIC:
    case AFS_FS_MAGIC:
    case FUSE_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case kZfs:
    case kBcachefs:
      return false;
    default:
      return true;
  }
}

Folder make_front_root(const fs::path& journal_folder, std::uint64_t size_bytes) {
  return with_front_place(journal_folder, size_bytes, make_in);
}

std::vector<std::shared_ptr<const Folder>> open_roots(const fs::path& journal_folder) {
  std::vector<std::shared_ptr<const Folder>> roots;
  const auto add = [&](const FrontPlace& place, bool is_of_anyone) {
    try {
      Folder folder = Folder::open(place.base);
      for (const std::string& name : place.names) folder = folder.open_own(name);
      roots.push_back(std::make_shared<const Folder>(std::move(folder)));
    } catch (const std::system_error& error) {
      const bool is_missing =
          error.code() == std::errc::no_such_file_or_directory || error.code() == std::errc::not_a_directory;
      const bool is_others =
          error.code() == std::errc::operation_not_permitted || error.code() == std::errc::permission_denied;
      if (!is_missing && (is_of_anyone || !is_others)) throw;
    }
  };
  add({.base = journal_folder, .names = {}}, true);
  for (const FrontPlace& place : front_places(journal_folder)) add(place, false);
  return roots;
}

bool is_run_name(const std::string& name) {
  constexpr std::size_t kMostBytes = 200;
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return name.size() <= kMostBytes && !name.starts_with('.') &&
         std::all_of(name.begin(), name.end(), is_plain) && std::count(name.begin(), name.end(), '-') >= 7;
}

std::vector<std::string> runs_in(const std::vector<std::shared_ptr<const Folder>>& roots) {
  std::set<std::string> runs;
  for (const auto& root : roots) {
    for (std::string& name : root->folders_of(geteuid())) {
      if (is_run_name(name)) runs.insert(std::move(name));  // the dead/ folder beside them is none
    }
  }
  return {runs.begin(), runs.end()};
}

}  // namespace codewake::internal
