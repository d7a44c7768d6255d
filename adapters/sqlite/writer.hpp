// Everything that is written, through the one connection that writes.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checkpointer.hpp"
#include "codewake/errors.hpp"
#include "codewake/store.hpp"
#include "connection.hpp"
#include "feed.hpp"
#include "pair_index.hpp"
#include "parameters.hpp"
#include "recorded_processes.hpp"

namespace codewake::internal {

/// The disk failed in COMMIT, and SQLite has given the transaction up, or the files were replaced meanwhile:
/// whether the transaction was stored must be looked up, through a new connection.
struct CommitInDoubt {
  StoreError failure;
  BatchResult result = {};
};

/// The connection's files are no longer those at the path. Nothing was written: open the files anew, and
/// write again.
struct FilesReplaced {
  Replaced how;
};

/// The WAL at the path is new: the one before was deleted, and no process that had it open has written it
/// back yet. Nothing was written: close the files, for SQLite forgets the WAL of a process that has ended
/// once no process has them open.
struct WalIsElsewhere {};

/// Thread-bound to whoever holds the lock that guards it. Every call throws StoreError, SQLite::Exception or
/// FilesReplaced or WalIsElsewhere, and has changed nothing then, except where CommitInDoubt is thrown.
class Writer {
 public:
  /// All must outlive it.
  Writer(Connection& connection, const SqliteParameters& parameters, const RecordedProcesses& recorded);

  BatchResult write(const Batch& batch);
  AppInserted insert_app(std::string_view name, std::optional<std::string_view> vsn);
  void forget_positions(std::string_view prefix);
  Removed remove_older(Time before, std::size_t most);
  FramesReplaced replace_frames(const std::vector<StacktraceRecord>& stacktraces);

  /// Ends what goes on behind the writer, before a fork or the end; false where it is still busy by
  /// `timeout`.
  bool stop_checkpoints(std::chrono::nanoseconds timeout);

  /// Whether what `write` said it did is there: asked through a new connection after CommitInDoubt.
  bool is_stored(const Batch& batch, const BatchResult& result);

 private:
  struct Hash {
    std::size_t operator()(const std::pair<Id, std::string>& vsn) const noexcept {
      return std::hash<std::string>{}(vsn.second) ^ static_cast<std::size_t>(vsn.first) * 0x9E3779B97F4A7C15U;
    }
    std::size_t operator()(const Digest& digest) const noexcept;
  };
  /// Ids that were read or made since another connection last changed the database. Never from a transaction
  /// that was rolled back.
  struct Known {
    std::unordered_map<std::string, Id> apps, environments;
    std::unordered_map<std::pair<Id, std::string>, Id, Hash> vsns;
    std::unordered_map<Digest, Id, Hash> stacktraces;
    std::unordered_map<Id, Id> processes;  ///< as batches name them, and as they are in this file
  };

  /// Runs `work` in a transaction of its own, again where somebody else was in the way.
  template <class Work>
  auto transact(Work work);
  /// The same for what is right to be done again: says so where it is not known whether it was done.
  template <class Work>
  auto transact_again(std::string_view question, Work work);
  void begin();
  void refuse_other_wal();
  void commit();
  void roll_back() noexcept;
  void forget() noexcept;

  Id app_id(const std::string& name);
  Id vsn_id(Id app, const std::string& vsn);
  Id environment_id(const std::string& name);
  Id stacktrace_id(const Stacktrace& stacktrace);
  Id insert_process(const ProcessInfo& info);
  Id process_id(const BatchProcess& process);
  bool has_process(Id id, const RecordedProcess* recorded);
  void insert_events(const Batch& batch);
  void insert_data(const Batch& batch, std::size_t attributes);
  void insert_ties(const Batch& batch);
  void insert_trace_events(const Batch& batch);
  void check_positions(const Batch& batch);
  void insert_positions(const Batch& batch);
  BatchResult write_all(const Batch& batch);

  Connection& connection_;
  const SqliteParameters& parameters_;
  const RecordedProcesses& recorded_;
  Feed feed_;
  Known known_;
  PairIndexWriter pairs_;
  std::int64_t data_version_ = -1;
  std::optional<Checkpointer> checkpointer_;  ///< a database in memory has none
};

}  // namespace codewake::internal
