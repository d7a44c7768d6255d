// One of the folders of a run, which is locked while the run lives, and what the run says of itself there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>

#include "base/folder.hpp"
#include "codewake/time.hpp"

namespace codewake::internal {

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

/// Locked by this object until it is destroyed or removed, whatever the program does with descriptors
/// meanwhile. Thread-bound.
class RunFolder {
 public:
  /// Makes the folder, for this user alone, in the one that `make_root` makes or opens, and locks it. Throws
  /// std::system_error.
  static RunFolder create(const std::function<Folder()>& make_root, const std::string& run);

  /// The same in `root`, which is made where it is missing, with the folders above it.
  static RunFolder create(const std::filesystem::path& root, const std::string& run);

  /// Locks a folder whose owner is dead; empty where it lives, where another recoverer was first, and where
  /// there is no such folder of this user. Throws std::system_error where it cannot be looked into.
  static std::optional<RunFolder> take_over(std::shared_ptr<const Folder> root, const std::string& run);

  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&& other) noexcept;
  ~RunFolder();

  const std::shared_ptr<const Folder>& folder() const noexcept { return folder_; }
  const std::shared_ptr<const Folder>& root() const noexcept { return root_; }
  const std::filesystem::path& path() const noexcept { return folder_->path(); }

  /// Throws std::system_error where it cannot be written.
  void write_about(const RunAbout& about) const;
  /// Empty where there is none, or it is broken, larger than one is, or of a format that is not known here.
  std::optional<RunAbout> read_about() const;

  /// Whether it is still what its path names.
  bool is_in_place() const noexcept;

  /// Returns once the folder, what it says of itself and the folders above it survive the machine.
  std::error_code sync() const;

  /// Deletes the folder, then gives up the lock. Says what could not be deleted.
  std::error_code remove() noexcept;

  /// Leaves the lock to the parent; this object must not be used any more.
  void close_in_child() noexcept;

 private:
  static std::optional<RunFolder> lock(std::shared_ptr<const Folder> root, const std::string& run);

  RunFolder(std::shared_ptr<const Folder> root, std::shared_ptr<const Folder> folder,
            FileDescriptor lock) noexcept;
  std::error_code remove_files() const;
  void unlock() noexcept;

  std::shared_ptr<const Folder> root_, folder_;
  int lock_fd_ = -1;
  void* lock_memory_ = nullptr;  // of the file, in the place of the descriptor
};

}  // namespace codewake::internal
