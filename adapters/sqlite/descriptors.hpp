// SQLite keeps files open by number, and programs close descriptors that they do not know, as by
// closefrom(3); then the number is soon another file's, and SQLite would write there.
#pragma once

#include <string>

#include "database_file.hpp"

namespace codewake::internal {

/// From now on SQLite, for all its users in this process, fails (EBADF) where the descriptor of a file that
/// it has opened is another's, and leaves that open. Once is enough. Thread-safe.
void guard_descriptors();

/// Whether one that SQLite has open is gone, or another file's. Thread-safe.
bool descriptors_are_lost() noexcept;

struct JudgedFiles;

/// While it exists, SQLite, for all its users in this process, opens the file `path`, its WAL, its shared
/// memory and its journal by this rule alone, judged by what is open: it fails (EPERM) for other files, and
/// follows no link. Where several rules exist for a path, one that lets it write wins. What SQLite makes gets
/// the rule's group. Thread-safe.
class FilesByRule {
 public:
  FilesByRule() noexcept = default;
  /// `path` as SQLite names it: absolute and without links.
  FilesByRule(const std::string& path, const FileRule& rule);
  FilesByRule(FilesByRule&& other) noexcept;
  FilesByRule& operator=(FilesByRule&& other) noexcept;
  ~FilesByRule();

 private:
  JudgedFiles* files_ = nullptr;
};

}  // namespace codewake::internal
