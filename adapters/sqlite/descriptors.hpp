// SQLite keeps files open by number, and programs close descriptors that they do not know, as by
// closefrom(3); then the number is soon another file's, and SQLite would write there.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "database_file.hpp"
#include "open_files.hpp"

namespace codewake::internal {

/// While one exists, SQLite fails (EBADF) where the descriptor of a file that a store's connection has opened
/// is another's, and leaves that open. The functions that SQLite calls for this (sqlite3_vfs::xSetSystemCall)
/// are its own again after the last one, and the VFSs of this library are gone. Calls for other connections
/// of the program are passed on unchanged. Thread-safe.
class GuardedDescriptors {
 public:
  GuardedDescriptors();
  GuardedDescriptors(const GuardedDescriptors&) = delete;
  GuardedDescriptors& operator=(const GuardedDescriptors&) = delete;
  ~GuardedDescriptors();
};

/// While one of these lives, its thread uses SQLite for a store, and not for a connection of the program's
/// own.
class CallsForStore {
 public:
  CallsForStore() noexcept;
  CallsForStore(const CallsForStore&) = delete;
  CallsForStore& operator=(const CallsForStore&) = delete;
  ~CallsForStore();

 private:
  bool is_counted_;
};

/// Which file SQLite uses: of the last call on it that this thread makes while one of these lives. Its name
/// may be another file's by then.
class UsedFile {
 public:
  UsedFile() noexcept;
  UsedFile(const UsedFile&) = delete;
  UsedFile& operator=(const UsedFile&) = delete;
  ~UsedFile();

  /// Empty where there was no such call, or where that is not known.
  std::optional<FileIdentity> identity() const noexcept;
  void is(int fd) noexcept { fd_ = fd; }

 private:
  int fd_ = -1;
  UsedFile* const outer_;
};

/// This library is not unloaded any more: something that cannot be taken back calls it.
void keep_library_loaded() noexcept;

/// Whether one that a store has open is gone, or another file's. Thread-safe.
bool descriptors_are_lost() noexcept;

/// Whether a file that a store has open still has a name. Thread-safe.
bool has_name(const FileIdentity& file) noexcept;

struct JudgedFiles;

/// While it exists, stores open the file `path`, its WAL, its shared memory and its journal by this rule
/// alone, judged by what is open: SQLite fails (EPERM) for other files, and follows no link. Where several
/// rules exist for a path, one that lets it write wins. What SQLite makes gets the rule's group. Thread-safe.
class FilesByRule {
 public:
  FilesByRule() noexcept = default;
  /// `path` as SQLite names it: absolute and without links.
  FilesByRule(const std::string& path, const FileRule& rule);
  FilesByRule(FilesByRule&& other) noexcept;
  FilesByRule& operator=(FilesByRule&& other) noexcept;
  ~FilesByRule();

 private:
  std::unique_ptr<const GuardedDescriptors> guarded_;  // the rules live as long as one guard does
  JudgedFiles* files_ = nullptr;
};

}  // namespace codewake::internal
