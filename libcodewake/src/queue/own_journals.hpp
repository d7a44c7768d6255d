// The journals of this process's user, read by this process.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "queue/journal_source.hpp"

namespace codewake::internal {

/// Those of runs that keep their journal in a folder, and their fronts. Thread-bound.
class OwnJournals final : public JournalSources {
 public:
  explicit OwnJournals(std::filesystem::path journal_folder);

  std::vector<std::string> runs() override;
  bool has(const std::string& run) override;
  std::unique_ptr<JournalSource> take_over(const std::string& run) override;

 private:
  std::filesystem::path folder_;
};

}  // namespace codewake::internal
