// How `codewake run --store` hands the DSN to the program: by a file that no other user can read.
#pragma once

#include <filesystem>
#include <string>

namespace codewake::cli {

/// A file of mode 0600 with the DSN, in $XDG_RUNTIME_DIR, or else in /tmp. CODE_WAKE_STORE_CONFIG_FILE names
/// it to the program and to what that starts, also where these close all descriptors before they execute
/// another program. The destructor removes it unless a process whose environment names it is still alive; the
/// next `codewake run` removes it then. Thread-bound.
class RunStoreFile {
 public:
  /// Also removes the files of earlier runs that no process needs any more. Throws std::system_error.
  explicit RunStoreFile(const std::string& dsn);
  RunStoreFile(const RunStoreFile&) = delete;
  RunStoreFile& operator=(const RunStoreFile&) = delete;
  ~RunStoreFile();

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace codewake::cli
