// A folder whose files are reached through its descriptor: what another user swaps on the path to it changes
// nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/held_file.hpp"

namespace codewake::internal {

/// What is known of a file without opening it.
struct FileLook {
  dev_t device = 0;
  ino_t inode = 0;
  uid_t owner = 0;
  bool is_folder = false;
};

/// Where the program closes its descriptor, the folder is opened again by its path: it must still be the same
/// one. Names are of files right below it, and are never followed where they are links. What is opened is a
/// regular file of the folder's owner, never a pipe or a device, so that no open blocks. New files have mode
/// 0600, new folders 0700. Reentrant; constant functions are thread-safe.
class Folder {
 public:
  /// Any folder; links on the way to it are followed. Throws std::system_error.
  static Folder open(const std::filesystem::path& path);

  /// The same, made where it is missing, with the folders above it. Throws std::system_error.
  static Folder make(const std::filesystem::path& path);

  /// A folder in this one, of the effective user and on the same file system, which no other user may write
  /// to: ENOENT, ENOTDIR, or EPERM for another. Throws std::system_error.
  Folder open_own(const std::string& name) const;

  /// The same, made where it is missing. Throws std::system_error.
  Folder make_own(const std::string& name) const;

  /// For messages.
  const std::filesystem::path& path() const noexcept { return path_; }
  uid_t owner() const noexcept { return owner_; }

  /// `flags` as for open(2); a new file must not be there before, with O_EXCL. Negative, with errno, where
  /// there is no such file, and EPERM or EINVAL where it is another user's or no regular one.
  FileDescriptor open_file(const std::string& name, int flags) const noexcept;

  /// The first `most_bytes + 1` bytes of a file; empty where there is none. Throws std::system_error.
  std::optional<std::string> read_file(const std::string& name, std::size_t most_bytes) const;

  /// Makes a file of this content; nothing is left of it after an error.
  std::error_code write_new_file(const std::string& name, std::string_view content, bool sync) const noexcept;

  std::error_code rename(const std::string& from, const std::string& to) const noexcept;
  std::error_code remove_file(const std::string& name) const noexcept;
  /// Of an empty one.
  std::error_code remove_folder(const std::string& name) const noexcept;
  /// A file, or a folder with all that is in it, as far as it is this user's. Throws std::bad_alloc alone.
  std::error_code remove_tree(const std::string& name) const;

  /// Whether there is something of this name, which is not followed where it is a link.
  bool look_at(const std::string& name, FileLook& found) const noexcept;
  /// Whether something of this name is there.
  bool has(const std::string& name) const noexcept;
  /// Whether `descriptor` is of the file of this name.
  bool names(const std::string& name, int descriptor) const noexcept;

  /// Of the file system that it lies in, as statfs(2) has it; 0 where that cannot be told.
  std::uint32_t file_system_type() const noexcept;

  /// Whether its path still leads to it, or that cannot be told.
  bool is_at_path() const noexcept;

  /// Of all that is in it, without order. Throws std::system_error.
  std::vector<std::string> entries() const;
  /// Of the folders in it that belong to this user. Throws std::system_error.
  std::vector<std::string> folders_of(uid_t user) const;

  /// Returns once a file's content survives the machine.
  std::error_code sync_file(const std::string& name) const noexcept;
  /// Returns once the names in it survive the machine.
  std::error_code sync() const noexcept;
  /// The same for the folders above it, as far as this user may look into them.
  std::error_code sync_above() const;

  /// Removes it, where it is empty and still at its path.
  std::error_code remove() const noexcept;

 private:
  class Use;

  Folder(std::filesystem::path path, FileDescriptor folder);

  std::filesystem::path path_;
  HeldFile held_;
  uid_t owner_ = 0;
};

}  // namespace codewake::internal
