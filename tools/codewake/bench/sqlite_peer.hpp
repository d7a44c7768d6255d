// SQLite without the store: what a program would write by hand, and a look at what is in a database.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "codewake/digest.hpp"
#include "codewake/event.hpp"
#include "codewake/records.hpp"

namespace codewake::cli::bench {

/// Prepared statements for single rows, one transaction a batch, with the pragmas of the store. Every member
/// throws Error, also where this program was built without SQLite.
class SqlitePeer {
 public:
  /// `file`: a database of the store's schema, with `process` in it.
  SqlitePeer(const std::string& file, Id process);
  SqlitePeer(const SqlitePeer&) = delete;
  SqlitePeer& operator=(const SqlitePeer&) = delete;
  ~SqlitePeer();

  /// `digests`: of the events' data, computed before.
  void write(std::span<const BatchEvent> events, std::span<const Digest> digests);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// While it is there, nobody else writes to the database. Throws Error.
class WriteLock {
 public:
  explicit WriteLock(const std::string& file);
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;
  ~WriteLock();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes the whole WAL back into the database and makes it empty. Throws Error.
void checkpoint(const std::string& file);

/// How many events a database has. Throws Error.
std::uint64_t count_events(const std::string& file);

}  // namespace codewake::cli::bench
