#include "pair_index.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "codewake/utf8.hpp"

namespace codewake::internal {
namespace {

/// Rows of a new run; so many, and no more than twice as many, are scanned by each look-up.
constexpr Id kRunRows = 32'768;
/// So many new runs become a large one: a pair is written twice in all, and a look-up among ten million
/// events probes about sixty runs.
constexpr std::int64_t kMergeRuns = 32;
/// A row of this size fills a page of 4 KiB and does not spill into a second.
constexpr std::size_t kChunkBytes = 3'980;
constexpr std::size_t kMaxEntryBytes = 5 + 10;

void put(std::string& out, std::uint64_t number) {
  while (number >= 0x80) {
    out += static_cast<char>(number | 0x80);
    number >>= 7;
  }
  out += static_cast<char>(number);
}

bool get(std::string_view& in, std::uint64_t& number) {
  number = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

std::uint64_t zigzag(std::uint64_t difference) {
  return (difference << 1) ^ (0 - (difference >> 63));
}
std::uint64_t unzigzag(std::uint64_t number) {
  return (number >> 1) ^ (0 - (number & 1));
}

void store_run(Connection& connection, int level, const std::vector<PairEntry>& entries) {
  Query(connection, "INSERT INTO codewake_pair_runs(level) VALUES(?)", level).run();
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
  std::vector<Id> runs;
  {
    Query query(connection, "SELECT run FROM codewake_pair_runs WHERE level = 0");
    while (query.step()) runs.push_back(query.integer(0));
  }
  for (const Id run : runs) {
    Query query(connection, "SELECT first_hash, entries FROM codewake_pair_chunks WHERE run = ?", run);
    while (query.step()) decode_chunk(static_cast<std::uint32_t>(query.integer(0)), query.bytes(1), entries);
    Query(connection, "DELETE FROM codewake_pair_chunks WHERE run = ?", run).run();
  }
  Query(connection, "DELETE FROM codewake_pair_runs WHERE level = 0").run();
  std::sort(entries.begin(), entries.end());
  store_run(connection, 1, entries);
}

}  // namespace

const char* const kPairIndexTables = R"(
CREATE TABLE codewake_pair_runs (run INTEGER NOT NULL, level INTEGER NOT NULL, PRIMARY KEY (run));
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

std::uint32_t pair_hash(std::string_view key, std::optional<std::string_view> value) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;
  const auto add = [&](std::string_view bytes) {
    for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3U;
  };
  add(key);
  add(std::string_view("\0", 1));
  if (value) {
    add("\1");
    add(*value);
  }
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

std::string encode_chunk(const std::vector<PairEntry>& entries, std::size_t& at) {
  std::string chunk;
  chunk.reserve(kChunkBytes);
  PairEntry before{entries[at].hash, 0};
  while (at < entries.size() && chunk.size() + kMaxEntryBytes <= kChunkBytes) {
    put(chunk, entries[at].hash - before.hash);
    put(chunk, zigzag(static_cast<std::uint64_t>(entries[at].event_id) -
                      static_cast<std::uint64_t>(before.event_id)));
    before = entries[at++];
  }
  return chunk;
}

void decode_chunk(std::uint32_t first_hash, std::string_view chunk, std::vector<PairEntry>& entries) {
  PairEntry entry{first_hash, 0};
  std::uint64_t hash = 0, id = 0;
  while (!chunk.empty() && get(chunk, hash) && get(chunk, id)) {
    entry.hash += static_cast<std::uint32_t>(hash);
    entry.event_id = static_cast<Id>(static_cast<std::uint64_t>(entry.event_id) + unzigzag(id));
    entries.push_back(entry);
  }
}

Id pairs_indexed_to(Connection& connection) {
  Query query(connection, "SELECT indexed_to FROM codewake_pair_state");
  return query.step() ? query.integer(0) : 0;
}

void advance_pair_index(Connection& connection, Id last_data_id) {
  const Id indexed_to = pairs_indexed_to(connection);
  if (last_data_id - indexed_to < kRunRows) return;
  std::vector<PairEntry> entries;
  entries.reserve(2 * kRunRows);
  Id last = indexed_to;
  {
    Query query(connection,
                "SELECT id, event_id, \"key\", val FROM events_data WHERE id > ? ORDER BY id LIMIT ?",
                indexed_to, 2 * kRunRows);
    std::string fitted_key, fitted_value;
    const auto fit = [](std::string_view bytes, std::string& held) {
      return is_storable(bytes) ? bytes : std::string_view(held = to_storable(bytes));
    };
    while (query.step()) {
      last = query.integer(0);
      std::optional<std::string_view> value;
      if (!query.is_null(3)) value = fit(query.bytes(3), fitted_value);
      entries.push_back({pair_hash(fit(query.bytes(2), fitted_key), value), query.integer(1)});
    }
  }
  std::sort(entries.begin(), entries.end());
  store_run(connection, 0, entries);
  Query(connection, "UPDATE codewake_pair_state SET indexed_to = ?", last).run();
  Query count(connection, "SELECT count(*) FROM codewake_pair_runs WHERE level = 0");
  if (count.step() && count.integer(0) >= kMergeRuns) merge_runs(connection);
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
