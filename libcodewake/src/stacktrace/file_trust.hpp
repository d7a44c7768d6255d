// Which files are read to resolve a stack: the one place that decides it.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/file_descriptor.hpp"

namespace codewake::internal {

/// Where a stack comes from. It decides which files may be read for it:
///
/// | file             | stored              | own_run                            | own_process        |
/// |------------------|---------------------|------------------------------------|--------------------|
/// | a module         | ours                | ours; unless as root: any user's   | any user's         |
/// | its debug files  | ours                | ours, or of the module's owner     | the same           |
/// | its `.dwo` files | ours, trusted path  | the same                           | the same           |
/// | a source file    | below given folders | if what names it is ours:          | the same           |
/// |                  |                     | open_own_source                    |                    |
///
/// "Ours" is `is_ours`. A source path is as trusted as the files that name it: a module that another user can
/// write may name any file that the effective user can read.
///
/// In a program with raised privileges (`is_privileged`) own_run is the same as stored, without source
/// folders.
enum class Trust {
  stored,       ///< frames of a store: anybody may have written them
  own_run,      ///< a run of the effective user that has ended
  own_process,  ///< this process
};

/// Whether the program has more privileges than the user that starts it: setuid, setgid, file capabilities.
bool is_privileged() noexcept;

/// A regular file that is open for reading.
struct OpenFile {
  FileDescriptor descriptor;
  struct stat status;
};

/// Opens a regular file of at most so many bytes, and never blocks on what is no file. Pipes and devices are
/// not even opened: that alone has effects. Empty where that fails.
std::optional<OpenFile> open_regular(const std::string& path, std::uint64_t max_bytes);

/// The same for what `looked_at`, opened with O_PATH, leads to. Needs /proc.
std::optional<OpenFile> open_regular(const FileDescriptor& looked_at, std::uint64_t max_bytes);

/// Where `path` leads, without symbolic links, if a file exists there and no other user can change that:
/// later opens by the path find the same file. Empty otherwise, and where the file does not exist: another
/// user may be the owner of a folder that comes back in a moment.
std::filesystem::path stable_path(const std::string& path);

/// The same as `open_regular` for a path that has a `stable_path`; empty for others.
std::optional<OpenFile> open_stable(const std::string& path, std::uint64_t max_bytes);

/// Whether the file belongs to root or the effective user, and no other user can write to it. A private group
/// (base/private_group.hpp) is no other user. In a setgid program, or one with file capabilities, the
/// effective user is another user too: that user has started it. May block on the user database.
bool is_ours(const OpenFile& file) noexcept;

/// Whether no other user can write to the file or cut it off, so that it may be mapped: it is ours, and its
/// file system is one of this machine that the kernel alone changes.
bool may_be_mapped(const OpenFile& file) noexcept;

/// The owners of ELF files that are read.
struct FileOwners {
  bool all = false;
  std::optional<uid_t> also = {};  ///< besides ours

  bool allow(const OpenFile& file) const noexcept {
    return all || is_ours(file) || (also && file.status.st_uid == *also);
  }
};

/// Those of modules.
FileOwners module_owners(Trust trust) noexcept;

}  // namespace codewake::internal
