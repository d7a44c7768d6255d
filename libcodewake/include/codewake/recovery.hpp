// Storing what programs that died left in their journals.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "codewake/export.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"

namespace codewake {

/// A run whose journal was found.
struct JournalRun {
  enum class State {
    recovered,    ///< all that could be read of it is stored, and its files are gone
    incomplete,   ///< the same, and its part in memory was gone with `lost_events`
    alive,        ///< its program lives, or somebody else is recovering it
    other_store,  ///< it belongs to another store: `store` says which
    damaged,      ///< nothing tells any more to which store it belongs
    failed,       ///< see `problem`; what was not stored is still there
  };

  std::string run = {};  ///< `<host>-<pid>-<start>-<uuid>`
  State state = State::alive;
  std::string user = {};   ///< whose it is, where that is not the caller
  std::string store = {};  ///< its class and where it stores, without passwords
  std::string executable = {};
  std::int64_t pid = 0;
  Time started = {};
  std::string crash = {};             ///< what it died of, such as `SIGSEGV`; empty where it did not crash
  std::uint64_t stored_events = 0;    ///< now, by this call
  std::uint64_t rejected_events = 0;  ///< that the store refused: they are in the folder `dead`
  std::uint64_t skipped_bytes = 0;    ///< that should have been events and could not be read
  std::uint64_t lost_events = 0;  ///< at least, with its part in memory, as after a restart of the machine
  std::string problem = {};
};

struct RecoveryOptions {
  /// The journals of all users of this machine, not the caller's alone; for root. A process that has become
  /// its owner reads each: nothing that lies there is opened with more rights than the owner has.
  bool all_users = false;
  /// Where programs keep their journals; empty: as for `queue.journal`.
  std::filesystem::path journal_folder = {};
  /// What the store was made from; used where it has no identity.
  std::vector<std::string> parameters = {};
  /// Told after each batch; may be empty. `run` is at work.
  std::function<void(const JournalRun& run)> progress = {};
};

/// Stores, through `store` (one that does not queue), what is left in the journals of dead programs that used
/// the same storage, each event exactly once where the store keeps positions, and deletes those journals.
/// Any number of callers, in any processes, may do that at once. The result has a row for each run found.
/// Only journals of the effective user count, unless `all_users` is set: then a process that a journal of
/// another user introduces is recorded under that user's name, and an id in it counts only where the store
/// has it for that run. Throws nothing for a single journal that cannot be recovered: see
/// JournalRun::problem. Throws std::system_error where the folder cannot be read, and where `all_users` is
/// asked for by another user than root. Thread-safe; blocks on the disk and the store.
CODEWAKE_API std::vector<JournalRun> recover_journals(Store& store, const RecoveryOptions& options);

/// The state in words: `recovered`, `incomplete`, `alive`, `other store`, `damaged` or `failed`.
CODEWAKE_API std::string_view to_string(JournalRun::State state) noexcept;

}  // namespace codewake
