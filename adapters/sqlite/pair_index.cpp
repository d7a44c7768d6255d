#include "pair_index.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "codewake/utf8.hpp"

namespace codewake::internal {
namespace {

/// Rows of a new run; so many, and one batch more, are scanned by each look-up.
constexpr Id kRunRows = 32'768;
/// So many new runs, or entries in them, become a large run: a pair is written twice in all, a look-up among
/// ten million events probes about seventy runs, and the batch in which a merge falls takes a little longer.
constexpr std::int64_t kMergeRuns = 16;
constexpr std::int64_t kMergeEntries = kMergeRuns * kRunRows;
/// Rows that had to be read are taken in with so many in one go.
constexpr Id kReadRows = 2 * kRunRows;
constexpr std::size_t kKeptEntries = 4 * kRunRows;

void store_run(Connection& connection, int level, const std::vector<PairEntry>& entries) {
  if (entries.empty()) return;
  Query(connection, "INSERT INTO codewake_pair_runs(level, entries) VALUES(?, ?)", level, entries.size())
      .run();
  const Id run = sqlite3_last_insert_rowid(connection.handle());
  for (std::size_t at = 0; at < entries.size();) {
    const std::uint32_t first_hash = entries[at].hash;
    const std::string chunk = encode_chunk(entries, at);
    Query(connection,
          "INSERT INTO codewake_pair_chunks(run, first_hash, entries) VALUES(?, ?, CAST(? AS BLOB))", run,
          first_hash, chunk)
        .run();
  }
}

void merge_runs(Connection& connection) {
  std::vector<PairEntry> entries;
  {
    // In the order of runs, so that the ids of one hash are in theirs.
    Query query(connection,
                "SELECT c.first_hash, c.entries FROM codewake_pair_runs r CROSS JOIN codewake_pair_chunks c "
                "ON c.run = r.run WHERE r.level = 0 ORDER BY r.run");
    while (query.step()) decode_chunk(static_cast<std::uint32_t>(query.integer(0)), query.bytes(1), entries);
  }
  Query(connection,
        "DELETE FROM codewake_pair_chunks WHERE run IN (SELECT run FROM codewake_pair_runs WHERE level = 0)")
      .run();
  Query(connection, "DELETE FROM codewake_pair_runs WHERE level = 0").run();
  sort_pairs(entries);
  store_run(connection, 1, entries);
}

/// Whether the run names an event of this id or a later one.
bool reaches(Connection& connection, Id run, Id event_id) {
  std::vector<PairEntry> entries;
  Query query(connection, "SELECT first_hash, entries FROM codewake_pair_chunks WHERE run = ?", run);
  while (query.step()) {
    entries.clear();
    decode_chunk(static_cast<std::uint32_t>(query.integer(0)), query.bytes(1), entries);
    const bool found = std::any_of(entries.begin(), entries.end(),
                                   [&](const PairEntry& entry) { return entry.event_id >= event_id; });
    if (found) return true;
  }
  return false;
}

}  // namespace

const char* const kPairIndexTables = R"(
CREATE TABLE codewake_pair_runs (run INTEGER NOT NULL, level INTEGER NOT NULL,
  entries INTEGER NOT NULL, PRIMARY KEY (run));
CREATE TABLE codewake_pair_chunks (id INTEGER NOT NULL, run INTEGER NOT NULL, first_hash INTEGER NOT NULL,
  entries BLOB NOT NULL, PRIMARY KEY (id));
CREATE INDEX codewake_pair_chunks_hash ON codewake_pair_chunks(run, first_hash);
CREATE TABLE codewake_pair_state (indexed_to INTEGER NOT NULL);
INSERT INTO codewake_pair_state(indexed_to) VALUES(0);
CREATE TRIGGER codewake_pairs_deleted AFTER DELETE ON events_data
  WHEN old.id > (SELECT ifnull(max(id), 0) FROM events_data) BEGIN
  UPDATE codewake_pair_state SET indexed_to = min(indexed_to, (SELECT ifnull(max(id), 0) FROM events_data));
END;
CREATE TRIGGER codewake_pairs_changed AFTER UPDATE ON events_data BEGIN
  UPDATE codewake_pair_state SET indexed_to = min(indexed_to, old.id - 1, new.id - 1);
END;
)";

void drop_dead_runs(Connection& connection) {
  Id first_event = std::numeric_limits<Id>::max();
  {
    Query query(connection, "SELECT min(id) FROM events");
    if (query.step() && !query.is_null(0)) first_event = query.integer(0);
  }
  std::vector<Id> runs;
  {
    Query query(connection, "SELECT run FROM codewake_pair_runs ORDER BY run");
    while (query.step()) runs.push_back(query.integer(0));
  }
  for (const Id run : runs) {
    if (reaches(connection, run, first_event)) return;
    Query(connection, "DELETE FROM codewake_pair_chunks WHERE run = ?", run).run();
    Query(connection, "DELETE FROM codewake_pair_runs WHERE run = ?", run).run();
  }
}

Id pairs_indexed_to(Connection& connection) {
  Query query(connection, "SELECT indexed_to FROM codewake_pair_state");
  return query.step() ? query.integer(0) : 0;
}

void PairIndexWriter::forget() noexcept {
  tail_.clear();
  tail_from_ = tail_to_ = -1;
}

void PairIndexWriter::add(const Batch& batch, Id first_event_id, Id first_data_id) {
  const Id indexed_to = pairs_indexed_to(connection_);
  if (tail_from_ != indexed_to || tail_to_ != first_data_id - 1) {
    forget();
    if (indexed_to == first_data_id - 1) tail_from_ = tail_to_ = indexed_to;
  }
  Id event_id = first_event_id, last_data_id = first_data_id - 1;
  const bool known = tail_to_ >= 0;
  for (const BatchEvent& event : batch.events) {
    for (const AttributeView& attribute : event.data) {
      if (known) tail_.push_back({pair_hash(attribute.key, attribute.value), event_id});
      ++last_data_id;
    }
    ++event_id;
  }
  if (known) tail_to_ = last_data_id;
  if (last_data_id - indexed_to < kRunRows) return;
  if (!known) read_tail(indexed_to);
  store_tail();
}

void PairIndexWriter::read_tail(Id indexed_to) {
  std::string fitted_key, fitted_value;
  const auto fit = [](std::string_view bytes, std::string& held) {
    return is_storable(bytes) ? bytes : std::string_view(held = to_storable(bytes));
  };
  tail_from_ = tail_to_ = indexed_to;
  Query query(connection_,
              "SELECT id, event_id, \"key\", val FROM events_data WHERE id > ? ORDER BY id LIMIT ?",
              indexed_to, kReadRows);
  while (query.step()) {
    tail_to_ = query.integer(0);
    std::optional<std::string_view> value;
    if (!query.is_null(3)) value = fit(query.bytes(3), fitted_value);
    tail_.push_back({pair_hash(fit(query.bytes(2), fitted_key), value), query.integer(1)});
  }
}

void PairIndexWriter::store_tail() {
  sort_pairs(tail_);
  const auto entries = static_cast<std::int64_t>(tail_.size());
  store_run(connection_, entries < kMergeEntries / 2 ? 0 : 1, tail_);
  Query(connection_, "UPDATE codewake_pair_state SET indexed_to = ?", tail_to_).run();
  if (tail_.capacity() > kKeptEntries) tail_ = {};
  tail_.clear();
  tail_from_ = tail_to_;
  Query level(connection_, "SELECT count(*), sum(entries) FROM codewake_pair_runs WHERE level = 0");
  level.step();
  const bool many = level.integer(0) >= kMergeRuns || level.integer(1) >= kMergeEntries;
  if (many) merge_runs(connection_);
}

bool probe_pair_index(Connection& connection, std::uint32_t hash, std::size_t limit, std::vector<Id>& ids) {
  std::vector<Id> runs;
  {
    Query query(connection, "SELECT run FROM codewake_pair_runs ORDER BY run");
    while (query.step()) runs.push_back(query.integer(0));
  }
  std::vector<PairEntry> entries;
  const auto take = [&](const Query& chunk) {
    entries.clear();
    decode_chunk(static_cast<std::uint32_t>(chunk.integer(0)), chunk.bytes(1), entries);
    const auto equal =
        std::equal_range(entries.begin(), entries.end(), PairEntry{hash, 0},
                         [](const PairEntry& a, const PairEntry& b) { return a.hash < b.hash; });
    for (auto entry = equal.first; entry != equal.second; ++entry) ids.push_back(entry->event_id);
    return ids.size() <= limit;
  };
  for (const Id run : runs) {
    // The hash may begin in the last chunk that begins before it.
    Query before(connection,
                 "SELECT first_hash, entries FROM codewake_pair_chunks WHERE run = ? AND first_hash < ? "
                 "ORDER BY first_hash DESC, id DESC LIMIT 1",
                 run, hash);
    if (before.step() && !take(before)) return false;
    Query same(
        connection,
        "SELECT first_hash, entries FROM codewake_pair_chunks WHERE run = ? AND first_hash = ? ORDER BY id",
        run, hash);
    while (same.step()) {
      if (!take(same)) return false;
    }
  }
  return true;
}

}  // namespace codewake::internal
