// PostgreSQL without the store: what a program would write by hand.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "codewake/digest.hpp"
#include "codewake/event.hpp"
#include "codewake/records.hpp"

namespace codewake::cli::bench {

/// A schema of its own in a database, gone with this object. Throws Error, also where this program was built
/// without libpq.
class PostgresSchema {
 public:
  PostgresSchema(const std::string& database_url, const std::string& name);
  PostgresSchema(const PostgresSchema&) = delete;
  PostgresSchema& operator=(const PostgresSchema&) = delete;
  ~PostgresSchema();

  /// For connections that work in this schema, and whose COMMIT does not wait for the disk, which would be
  /// what is measured.
  const std::string& url() const noexcept { return url_; }

 private:
  std::string database_url_;
  std::string name_;
  std::string url_;
};

/// Writes into the store's tables, with ids of its own. Every member throws Error, also where this program
/// was built without libpq.
class PostgresPeer {
 public:
  /// `url`: of a schema with the store's tables, and with `process` in them.
  PostgresPeer(const std::string& url, Id process);
  PostgresPeer(const PostgresPeer&) = delete;
  PostgresPeer& operator=(const PostgresPeer&) = delete;
  ~PostgresPeer();

  /// In one transaction, by COPY in binary. `digests`: of the events' data, computed before.
  void copy(std::span<const BatchEvent> events, std::span<const Digest> digests);

  /// In one transaction, by prepared statements for single rows.
  void insert(std::span<const BatchEvent> events, std::span<const Digest> digests);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace codewake::cli::bench
