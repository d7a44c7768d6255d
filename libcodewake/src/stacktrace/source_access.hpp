// Which source files may be read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "stacktrace/file_trust.hpp"

namespace codewake::internal {

/// Opens a source file that a module of ours names (see Trust). No other user may have decided what the path
/// leads to: it is a trusted path (codewake/trusted_path.hpp). A user other than root may also read what has
/// one name only and no symbolic link on its way, for many users' folders can be written by a group. Empty
/// where it may not be read, is no regular file or has more than `max_bytes`.
std::optional<OpenFile> open_own_source(const std::string& path, std::uint64_t max_bytes);

/// The folders that source files may be read from, whatever names them.
class SourceFolders {
 public:
  explicit SourceFolders(std::vector<std::string> folders);

  /// The absolute path of the file below one of the folders that the compiler recorded as `path`, without the
  /// steps out of the build folder that a relative path begins with; empty where there is none.
  std::string locate(const std::string& path) const;

  /// Opens the file of an absolute path below one of the folders. No link leads out: not a symbolic one, and
  /// a file of several names counts only where no other user can have made one.
  std::optional<OpenFile> open(const std::string& path, std::uint64_t max_bytes) const;

 private:
  std::vector<std::string> folders_;
};

}  // namespace codewake::internal
