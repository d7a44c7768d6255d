// The journals of another user, which a process that has become that user reads: see journal_reader.hpp.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/journal_reader.hpp"
#include "queue/journal_source.hpp"

namespace codewake::internal {

/// The users of this machine that may have journals, in the order of their numbers: those that the system
/// lists, and the owners of fronts, and of runs in `journal_folder`; without root, whose journals need no
/// help. Not thread-safe: it lists users by getpwent(3).
std::vector<JournalOwner> journal_owners(const std::filesystem::path& journal_folder);

/// All that the reader says is bounded and checked: the user may have it under control. Thread-bound.
class ForeignJournals final : public JournalSources {
 public:
  /// Starts a reader. Throws std::system_error.
  ForeignJournals(const JournalOwner& owner, const std::filesystem::path& journal_folder);
  ~ForeignJournals() override;

  std::optional<JournalUser> other_user() const override { return user_; }
  std::vector<std::string> runs() override;
  bool has(const std::string& run) override;
  std::unique_ptr<JournalSource> take_over(const std::string& run) override;

 private:
  class Reader;
  class Journal;

  JournalUser user_;
  std::shared_ptr<Reader> reader_;
};

}  // namespace codewake::internal
