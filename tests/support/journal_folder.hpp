// A folder for the journals of one test, gone afterwards together with what lies in shared memory.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace codewake::testing {

/// To be given to a queue as `Config::Queue::journal`. Folder and fronts are removed by the destructor, in
/// the process that made it.
class JournalFolder {
 public:
  JournalFolder() : JournalFolder("journal") {}
  /// A folder of this name, which may have slashes, below the temporary one.
  explicit JournalFolder(const std::filesystem::path& name);
  JournalFolder(const JournalFolder&) = delete;
  JournalFolder& operator=(const JournalFolder&) = delete;
  ~JournalFolder();

  /// The queue makes it.
  const std::filesystem::path& path() const noexcept { return path_; }
  const TemporaryFolder& parent() const noexcept { return folder_; }
  /// Where the fronts are, in shared memory; a program need not have made it yet.
  const std::filesystem::path& front_root() const noexcept { return front_root_; }

  /// The folders of runs that are there now, of both places.
  std::vector<std::filesystem::path> runs() const;

  /// Every file of the runs that are there now.
  std::vector<std::filesystem::path> files() const;

 private:
  TemporaryFolder folder_;
  std::filesystem::path path_, front_root_;
  int owner_pid_ = getpid();
};

}  // namespace codewake::testing
