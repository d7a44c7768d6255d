// Where a run's journal lies, and who may touch it: a folder of the run's name in each of two places, each
// with a file that is locked while the run lives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/time.hpp"

namespace codewake::internal {

/// `/var/lib/code_wake/journal` for root, `$XDG_STATE_HOME/code_wake/journal` (`~/.local/state` by default)
/// for others.
std::filesystem::path default_journal_folder();

/// Where the fronts of runs that keep their journal in `journal_folder` are: in /dev/shm, one folder for each
/// user and journal folder.
std::filesystem::path front_root(const std::filesystem::path& journal_folder);

/// Every folder in which fronts of that journal folder may be that this user can read: root sees all users'.
std::vector<std::filesystem::path> front_roots(const std::filesystem::path& journal_folder);

/// A new name: `<host>-<pid>-<start>-<uuid>`; start is in Unix seconds.
std::string make_run_name(Time start);

/// What run.json says: whose journal it is, and what it takes to store it.
struct RunAbout {
  std::string run = {};
  std::string fingerprint = {};  ///< of the store: equal fingerprints, equal storage
  std::string store = {};        ///< the same for people, without passwords
  std::string executable = {};
  std::int64_t pid = 0;
  Time started = {};

  bool operator==(const RunAbout&) const = default;
};

/// One of the folders of a run, locked by this object until it is destroyed or removed, whatever the program
/// does with descriptors meanwhile. Thread-bound.
class RunFolder {
 public:
  /// Makes the folder and its parents, for this user alone, and locks it. Throws std::system_error.
  static RunFolder create(const std::filesystem::path& root, const std::string& run);

  /// Locks a folder whose owner is dead; empty where it lives, where another recoverer was first, and where
  /// there is no such folder. Throws std::system_error where it cannot be looked into.
  static std::optional<RunFolder> take_over(const std::filesystem::path& folder);

  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&& other) noexcept;
  ~RunFolder();

  const std::filesystem::path& path() const noexcept { return path_; }

  /// Throws std::system_error where it cannot be written.
  void write_about(const RunAbout& about) const;
  /// Empty where there is none, or it is broken, or of a format that is not known here.
  std::optional<RunAbout> read_about() const;

  /// Returns once the folder, what it says of itself and the folders above it survive the machine.
  std::error_code sync() const;

  /// Deletes the folder, then gives up the lock. Says what could not be deleted.
  std::error_code remove() noexcept;

  /// Leaves the lock to the parent.
  void close_in_child() noexcept;

 private:
  static std::optional<RunFolder> lock(const std::filesystem::path& folder);

  RunFolder(std::filesystem::path path, int lock_fd) noexcept;
  void unlock() noexcept;

  std::filesystem::path path_;
  int lock_fd_ = -1;
  void* lock_memory_ = nullptr;  // of the file, in the place of the descriptor
};

/// The names of the runs that have a folder in `root`, in order. Empty where there is no such folder.
/// Throws std::system_error where it cannot be read.
std::vector<std::string> runs_in(const std::filesystem::path& root);

}  // namespace codewake::internal
