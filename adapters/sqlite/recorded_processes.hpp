// The processes that this store has recorded. Where their database is replaced, they are recorded again.
#pragma once

#include <cstddef>
#include <exception>
#include <unordered_map>

#include "codewake/store.hpp"

namespace codewake::internal {

struct RecordedProcess {
  ProcessInfo info;
  Id id = 0;                   ///< in the database that it was last recorded in
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

  /// Notes what was stored. Without memory less is known.
  void note(const Batch& batch, const BatchResult& result) noexcept try {
    for (std::size_t i = 0; i < batch.processes.size(); ++i) {
      const BatchProcess& process = batch.processes[i];
      const Id id = result.process_ids[i];
      if (process.id == 0) {
        if (processes_.size() < kMost)
          processes_.insert_or_assign(id, RecordedProcess{*process.info, id, !batch.positions.empty()});
      } else if (const auto found = processes_.find(process.id); found != processes_.end()) {
        found->second.id = id;
      }
    }
  } catch (const std::exception&) {
  }

 private:
  /// Those beyond are not recorded again: their events are rejected then.
  static constexpr std::size_t kMost = 1000;

  std::unordered_map<Id, RecordedProcess> processes_;
};

}  // namespace codewake::internal
