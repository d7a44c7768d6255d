// Whether the files that a connection has open are still the files at its path. A file that was deleted or
// moved can be written without an error, and what it then holds is lost or lies elsewhere.
#pragma once

#include <sqlite3.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace codewake::internal {

struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const FileIdentity&) const = default;
};

/// Of the file or link that has this name; empty where none has.
std::optional<FileIdentity> identity_of(const std::string& path) noexcept;

enum class Replaced {
  no,
  database,       ///< deleted, moved, or another file has its name
  older_content,  ///< an older copy was written over it
  wal,            ///< deleted or another one; the database is the same
  shared_memory   ///< likewise
};

/// As part of a sentence about the database: `was deleted, moved or replaced`.
std::string_view to_text(Replaced how) noexcept;

/// Thread-bound to the thread that has the connection, except for note_change().
class OpenFiles {
 public:
  /// Notes which files the connection has open: it must have opened all of them. Without `has_wal` only the
  /// database is noted.
  OpenFiles(const std::string& path, bool has_wal, sqlite3* connection);

  /// Costs three calls of lstat() and one of pread().
  Replaced look() noexcept;
  const std::optional<FileIdentity>& database() const noexcept { return database_.identity; }
  bool wal_is_at_path() const noexcept { return wal_.identity && wal_.is_at_path(); }
  bool shares_files_with(const OpenFiles& other) const noexcept;
  /// The database has been written to, by a connection of this process that has seen what it says now.
  void note_change(const OpenFiles& seen_by) noexcept;
  /// Removes the WAL and the shared memory at the path, where they are those that were noted.
  void remove_wal() const noexcept;

 private:
  struct Noted {
    std::string path;
    std::optional<FileIdentity> identity;

    bool is_at_path() const noexcept { return identity_of(path) == identity; }
  };

  bool has_older_content() noexcept;

  sqlite3* connection_;
  Noted database_, wal_, shared_memory_;  ///< without an identity: the connection has no file of this kind
  bool has_change_ = false;               ///< whether the next one is known
  std::atomic<std::uint32_t> newest_change_{0};  ///< of the database without its WAL
};

}  // namespace codewake::internal
