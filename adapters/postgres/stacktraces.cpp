#include "stacktraces.hpp"

#include <algorithm>
#include <utility>

#include "codewake/digest.hpp"
#include "codewake/stacktrace.hpp"
#include "postgres_error.hpp"
#include "stored_frames.hpp"

namespace codewake::internal {
Stacktraces::Stacktraces(const Batch& batch) {
  std::unordered_map<const Stacktrace*, Known*> same_object;
  of_events_.reserve(batch.events.size());
  for (const BatchEvent& event : batch.events) {
    if (event.stacktrace == nullptr) {
      of_events_.push_back(nullptr);
      continue;
    }
    const auto [object, added] = same_object.try_emplace(event.stacktrace, nullptr);
    if (added) {
      const std::vector<Frame>& frames = event.stacktrace->frames();
      object->second = &known_.try_emplace(digest_of(frames), Known{.frames = &frames}).first->second;
    }
    of_events_.push_back(object->second);
  }
}

// All in the order of their digests, so that no two transactions wait for each other.
std::vector<Statement> Stacktraces::find() const {
  Array digests(Type::bytea);
  for (const auto& [digest, known] : known_) digests.add(digest);
  return {{"INSERT INTO stacktraces(digest) SELECT wanted.digest FROM unnest($1::bytea[]) AS wanted(digest) "
           "WHERE NOT EXISTS (SELECT 1 FROM stacktraces s WHERE s.digest = wanted.digest) "
           "ORDER BY 1 ON CONFLICT DO NOTHING RETURNING id, digest",
           Arguments(digests), true},
          {"SELECT id, digest FROM stacktraces WHERE digest = ANY($1::bytea[]) ORDER BY digest FOR KEY SHARE",
           Arguments(digests), true}};
}

void Stacktraces::note(const Answer& inserted, const Answer& found) {
  for (int i = 0; i < found.size(); ++i) known_.at(found.digest(i, 1).value()).id = found.integer(i, 0);
  for (int i = 0; i < inserted.size(); ++i) known_.at(inserted.digest(i, 1).value()).is_new = true;
  for (const auto& [digest, known] : known_) {
    if (known.id != 0) continue;
    // The next attempt inserts it anew.
    throw changed_meanwhile("a stack trace that is being stored was removed meanwhile");
  }
}

std::optional<Statement> Stacktraces::insert_frames() const {
  FrameRows rows;
  for (const auto& [digest, known] : known_) {
    if (known.is_new) rows.add(known.id, *known.frames);
  }
  return rows.insert();
}

std::vector<Id> Stacktraces::ids() const {
  std::vector<Id> ids(of_events_.size());
  std::transform(of_events_.begin(), of_events_.end(), ids.begin(),
                 [](const Known* known) { return known == nullptr ? 0 : known->id; });
  return ids;
}

}  // namespace codewake::internal
