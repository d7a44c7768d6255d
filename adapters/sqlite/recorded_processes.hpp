// The processes that this store has recorded. Where their database is replaced, they are recorded again.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <unordered_map>

#include "codewake/store.hpp"
#include "open_files.hpp"

namespace codewake::internal {

struct RecordedProcess {
  ProcessInfo info;
  Id id = 0;                   ///< in the database that it was last recorded in
  int database = 0;            ///< number of that database
  bool has_positions = false;  ///< a queue recorded it, which asks for them and then records it again
};

/// By the ids under which the store's callers know them.
class RecordedProcesses {
 public:
  /// Null where the process is another store's, or one too many.
  const RecordedProcess* find(Id known_as) const noexcept {
    const auto found = processes_.find(known_as);
    return found == processes_.end() ? nullptr : &found->second;
  }

  /// From now on another database is written to, where this is not the one before.
  void note_database(const std::optional<FileIdentity>& file) noexcept {
    if (file_ && file != file_) note_other_content();
    file_ = file;
  }
  void note_other_content() noexcept { ++database_; }
  /// The process is another database's. One that is gone from its own was removed there.
  bool is_elsewhere(const RecordedProcess& process) const noexcept { return process.database != database_; }

  /// Notes what was stored. Without memory less is known.
  void note(const Batch& batch, const BatchResult& result) noexcept try {
    for (std::size_t i = 0; i < batch.processes.size(); ++i) {
      const BatchProcess& process = batch.processes[i];
      const Id id = result.process_ids[i];
      if (process.id == 0) {
        if (processes_.size() < kMost)
          processes_.insert_or_assign(
              id, RecordedProcess{*process.info, id, database_, !batch.positions.empty()});
      } else if (const auto found = processes_.find(process.id); found != processes_.end()) {
        found->second.id = id;
        found->second.database = database_;
      }
    }
  } catch (const std::exception&) {
  }

 private:
  /// Those beyond are not recorded again: their events are rejected then.
  static constexpr std::size_t kMost = 1000;

  std::unordered_map<Id, RecordedProcess> processes_;
  std::optional<FileIdentity> file_;
  int database_ = 0;
};

}  // namespace codewake::internal
