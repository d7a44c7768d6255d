// Which files this process opens as a database. Another user may have put some in place: a database with a
// trigger, a link to a file of root's, a pipe.
//
// Invariant: a folder that was found to be trusted stays the folder of that path, for no other user can
// rename it or what leads to it (trusted_path.hpp). The files in it may be other users' where all can make
// names, as in /tmp: each is judged once more when it is open (descriptors.hpp).
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>

#include "parameters.hpp"

namespace codewake::internal {

/// Which files are opened as the database, its WAL, its shared memory and its journal.
struct FileRule {
  bool only_read = false;          ///< any regular file: this library opens it for reading alone
  bool others_make_names = false;  ///< in the folder: other users may have put or linked a file there
  std::optional<gid_t> group = std::nullopt;  ///< whose members may have made the files

  bool operator==(const FileRule&) const = default;
};

/// Why a file of this kind, owner and mode is not opened, such as `is a symbolic link`; null where it is.
const char* why_not_opened(const struct stat& file, const FileRule& rule) noexcept;

struct DatabasePlace {
  /// As they were given, with a path that is absolute and has no links in its folders.
  SqliteParameters parameters;
  FileRule rule = {};
  bool is_missing = false;  ///< the file, or a folder on its way
  /// Why this process does not write there, and what to do; empty where it does.
  std::string why_not_written = {};
};

enum class MissingFolders { leave, make };

/// Follows the path and judges its folders and the files that are there. MissingFolders::make makes folders
/// that are missing, with mode 0700, where those that exist are trusted, but none directly below the root.
/// Throws StoreError (unavailable) where they cannot be made.
DatabasePlace find_database(const SqliteParameters& parameters, MissingFolders missing);

/// Makes the file, empty, with the mode and group of the parameters, unless there is one. It appears
/// complete: no process sees it with another mode. Throws StoreError (unavailable).
void make_database_file(const DatabasePlace& place);

}  // namespace codewake::internal
