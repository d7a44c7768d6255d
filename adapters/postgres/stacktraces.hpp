// The stack traces of a batch: each different one once, found by its digest.
#pragma once

#include <cstring>
#include <optional>
#include <unordered_map>
#include <vector>

#include "codewake/event.hpp"
#include "codewake/frame.hpp"
#include "connection.hpp"

namespace codewake::internal {

/// Reentrant. The batch must outlive it.
class Stacktraces {
 public:
  explicit Stacktraces(const Batch& batch);

  bool empty() const noexcept { return known_.empty(); }

  /// Two statements, to be run one after the other, for `note`: what is new is inserted, and all are locked
  /// against being deleted before this transaction ends.
  std::vector<Statement> find() const;
  /// Takes what the statements answered. Throws pqxx::sql_error (transient) where one was removed in between.
  void note(const Answer& inserted, const Answer& found);
  /// Inserts the frames of those that are new; nothing where there are none.
  std::optional<Statement> insert_frames() const;

  /// Of each of the batch's events; 0 where it has none.
  std::vector<Id> ids() const;

 private:
  struct Hash {
    std::size_t operator()(const Digest& digest) const noexcept {
      std::size_t hash = 0;
      std::memcpy(&hash, digest.data(), sizeof hash);
      return hash;
    }
  };
  struct Known {
    const std::vector<Frame>* frames = nullptr;
    Id id = 0;
    bool is_new = false;
  };

  std::unordered_map<Digest, Known, Hash> known_;
  std::vector<Known*> of_events_;  ///< null where the event has none
};

}  // namespace codewake::internal
