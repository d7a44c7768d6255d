// Programs that die, and what they leave.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "codewake/recovery.hpp"
#include "codewake/sqlite_store.hpp"
#include "support/child.hpp"
#include "support/journal_folder.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {

/// The ways in which the program was compiled; empty where none was.
std::vector<std::string> variants();

std::filesystem::path program(const std::string& name);

/// The words that run these by `codewake run`.
std::vector<std::string> watched(std::vector<std::string> words,
                                 const std::vector<std::string>& options = {});

/// A database and a journal for programs to write to.
class Deathbed {
 public:
  /// The class of the store.
  explicit Deathbed(std::string store = "SqliteQueueStore") : store_(std::move(store)) {}

  /// Runs it until it ends. `variables`: NAME=VALUE, beside those of the store.
  ChildResult run(const std::vector<std::string>& words,
                  const std::vector<std::string>& variables = {}) const;

  /// The same in a child that has been made: the words take its place.
  [[noreturn]] void become(const std::vector<std::string>& words,
                           const std::vector<std::string>& variables = {}) const;

  /// Stores what was left.
  std::vector<JournalRun> recover() const;

  /// The crashes that are stored, oldest first.
  std::vector<EventRecord> crashes() const;

  const JournalFolder& journal() const noexcept { return journal_; }
  std::string dsn() const { return "sqlite:///" + (folder_ / "events.sqlite").string(); }

 private:
  TemporaryFolder folder_;
  JournalFolder journal_;
  std::string store_;
};

/// The value of an attribute; empty where there is none.
std::string value(const EventRecord& event, const std::string& key);

}  // namespace codewake::testing
