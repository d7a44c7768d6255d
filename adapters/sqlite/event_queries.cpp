// The part of Reader that looks events up by what they say.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <iterator>
#include <limits>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "condition.hpp"
#include "pair_index.hpp"
#include "reader.hpp"

namespace codewake::internal {
namespace {

/// So many events are loaded by one set of statements.
constexpr std::size_t kChunk = 1'000;

bool matches(const EventRecord& event, const std::vector<Attribute>& where) {
  return std::all_of(where.begin(), where.end(), [&](const Attribute& term) {
    return std::find(event.data.begin(), event.data.end(), term) != event.data.end();
  });
}

/// As the terms would have been stored.
std::vector<Attribute> fit(std::vector<Attribute> where) {
  for (Attribute& term : where) {
    term.key = to_storable(term.key);
    if (term.value) term.value = to_storable(*term.value);
  }
  return where;
}

/// True for every row that is read as this term, and for few others: blobs and text with NUL bytes, which
/// Python may have written, are read as something else than they are.
void add_term(Condition& condition, std::string_view before, const Attribute& term, std::string_view after) {
  if (!term.value) {
    condition.add(fmt::format("{} d.\"key\" = ? AND d.val IS NULL {}", before, after), term.key);
    return;
  }
  condition.add(
      fmt::format(
          "{} d.\"key\" = ? AND (d.val = ? OR typeof(d.val) = 'blob' OR instr(d.val, char(0)) > 0) {}",
          before, after),
      term.key, *term.value);
}

/// The plus keeps SQLite from collecting and sorting all events of those processes: it shall walk by time.
template <class AnyQuery>
void add_common(Condition& condition, const AnyQuery& query) {
  if (query.from) condition.add("e.when_ts >= ?", rounds_up_to(*query.from));
  if (query.to) condition.add("e.when_ts < ?", rounds_up_to(*query.to));
  if (query.app_name) {
    condition.add(
        "+e.process_id IN (SELECT p.id FROM processes p JOIN apps a ON a.id = p.app_id WHERE a.name = ?)",
        *query.app_name);
  }
  if (query.env_name) {
    condition.add(
        "+e.process_id IN (SELECT p.id FROM processes p JOIN environments v ON v.id = p.environment_id "
        "WHERE v.name = ?)",
        *query.env_name);
  }
}

/// Where a page ends: the exact time as it is stored, and the id.
struct Place {
  double when = 0;
  Id id = 0;
};

std::string to_cursor(const Place& place) {
  return fmt::format("{:016x}-{:x}", std::bit_cast<std::uint64_t>(place.when), place.id);
}

Place parse_cursor(std::string_view cursor) {
  std::uint64_t when = 0;
  Place place;
  const char* const end = cursor.data() + cursor.size();
  const auto time = std::from_chars(cursor.data(), end, when, 16);
  bool good = time.ec == std::errc() && time.ptr == cursor.data() + 16 && time.ptr != end && *time.ptr == '-';
  if (good) {
    const auto id = std::from_chars(time.ptr + 1, end, place.id, 16);
    good = id.ec == std::errc() && id.ptr == end;
  }
  place.when = std::bit_cast<double>(when);
  if (!good || place.when != place.when) {
    throw StoreError(StoreError::Kind::rejected,
                     fmt::format("\"{}\" is no cursor of this store; begin with an empty one", cursor));
  }
  return place;
}

}  // namespace

std::vector<EventRecord> Reader::events_by_data(const std::vector<Attribute>& where,
                                                std::optional<Id> process_id) {
  const Snapshot snapshot(connection_);
  std::vector<Id> ids;
  if (where.empty()) {
    Query query(connection_, process_id ? "SELECT id FROM events WHERE process_id = ? ORDER BY id"
                                        : "SELECT id FROM events ORDER BY id");
    if (process_id) query.bind(*process_id);
    while (query.step()) ids.push_back(query.integer(0));
  } else {
    ids = candidates(where, std::numeric_limits<std::size_t>::max()).value();
  }
  std::vector<EventRecord> found;
  for (std::span<const Id> rest(ids); !rest.empty();) {
    const auto chunk = rest.first(std::min(rest.size(), kChunk));
    rest = rest.subspan(chunk.size());
    for (EventRecord& event : load(chunk, process_id)) {
      if (matches(event, where)) found.push_back(std::move(event));
    }
  }
  return found;
}

Id Reader::indexed_to() {
  return schema_.version < 1 ? 0 : pairs_indexed_to(connection_);
}

// Rows that another program wrote are in no run until this library writes again.
bool Reader::tail_is_short() {
  constexpr Id kLong = 1'000'000;
  Query last(connection_, "SELECT max(id) FROM events_data");
  return last.step() && last.integer(0) - indexed_to() < kLong;
}

void Reader::scan_tail(const Attribute& term, std::vector<Id>& ids) {
  Condition condition;
  condition.add("d.id > ?", indexed_to());
  add_term(condition, "", term, "");
  Query rows(connection_, "SELECT d.event_id FROM events_data d WHERE " + condition.sql());
  condition.bind_to(rows);
  while (rows.step()) ids.push_back(rows.integer(0));
}

// The terms with few events decide. Those with many are not even read to their end, unless all have many.
std::optional<std::vector<Id>> Reader::candidates(const std::vector<Attribute>& where, std::size_t limit) {
  std::vector<std::vector<Id>> tails(where.size());
  for (std::size_t i = 0; i < where.size(); ++i) scan_tail(where[i], tails[i]);
  for (const std::size_t few :
       {std::size_t{4'096}, std::size_t{1} << 20, std::numeric_limits<std::size_t>::max()}) {
    std::optional<std::vector<Id>> common;
    for (std::size_t i = 0; i < where.size(); ++i) {
      std::vector<Id> ids = tails[i];
      const bool all =
          ids.size() <= std::min(few, limit) &&
          (schema_.version < 1 ||
           probe_pair_index(connection_, pair_hash(where[i].key, where[i].value), std::min(few, limit), ids));
      if (!all) continue;
      std::sort(ids.begin(), ids.end());
      ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
      if (common) {
        std::vector<Id> both;
        std::set_intersection(common->begin(), common->end(), ids.begin(), ids.end(),
                              std::back_inserter(both));
        ids = std::move(both);
      }
      common = std::move(ids);
    }
    if (common || few >= limit) return common;
  }
  return std::nullopt;
}

EventPage Reader::events(const EventQuery& query) {
  const Snapshot snapshot(connection_);
  const std::size_t limit = std::max<std::size_t>(query.limit, 1);
  const std::vector<Attribute> where = fit(query.where);
  std::optional<Place> after;
  if (!query.cursor.empty()) after = parse_cursor(query.cursor);
  Condition fixed;
  if (query.process_id) fixed.add("e.process_id = ?", *query.process_id);
  add_common(fixed, query);
  if (query.has_stacktrace) {
    fixed.add(*query.has_stacktrace ? "e.stacktrace_id IS NOT NULL" : "e.stacktrace_id IS NULL");
  }
  // Walking by time finds common terms soonest, the index rare ones.
  constexpr std::size_t kRare = 20'000;
  std::optional<std::vector<Id>> rare;
  if (!where.empty() && tail_is_short()) rare = candidates(where, kRare);
  if (rare) fixed.add("e.id IN (SELECT value FROM json_each(?))", to_json(*rare));
  for (const Attribute& term : where) {
    if (rare) break;  // the events that are loaded are looked at
    add_term(fixed, "EXISTS (SELECT 1 FROM events_data d WHERE d.event_id = e.id AND", term, ")");
  }
  EventPage page;
  Place last;
  while (true) {
    Condition condition = fixed;
    if (after) {
      condition.add("e.when_ts <= ? AND (e.when_ts < ? OR e.id < ?)", after->when, after->when, after->id);
    }
    std::vector<Place> places;
    std::vector<Id> ids;
    {
      Query rows(connection_, "SELECT e.id, e.when_ts FROM events e WHERE " + condition.sql() +
                                  " ORDER BY e.when_ts DESC, e.id DESC LIMIT ?");
      condition.bind_to(rows);
      rows.bind(std::min(limit, kChunk - 1) + 1);
      while (rows.step()) {
        ids.push_back(rows.integer(0));
        places.push_back({rows.real(1), ids.back()});
      }
    }
    if (ids.empty()) return page;
    after = places.back();
    std::vector<EventRecord> events = load(ids);
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (!matches(events[i], where)) continue;
      if (page.events.size() == limit) {
        page.next = to_cursor(last);
        return page;
      }
      page.events.push_back(std::move(events[i]));
      last = places[i];
    }
  }
}

std::vector<ExceptionGroup> Reader::exceptions(const ExceptionQuery& query) {
  const Snapshot snapshot(connection_);
  Condition condition;
  condition.add("e.stacktrace_id IS NOT NULL");
  add_common(condition, query);
  std::vector<ExceptionGroup> groups;
  std::vector<Id> ids;
  Query rows(
      connection_,
      "WITH typed AS NOT MATERIALIZED (SELECT e.id, e.when_ts, e.stacktrace_id, (SELECT d.val FROM "
      "events_data d "
      "WHERE d.event_id = e.id AND d.\"key\" = 'exception.type' ORDER BY d.id LIMIT 1) AS type FROM events e "
      "WHERE " +
          condition.sql() +
          "), grouped AS (SELECT stacktrace_id, type, count(*) AS number, min(when_ts) AS first, "
          "max(when_ts) AS "
          "last FROM typed GROUP BY stacktrace_id, type ORDER BY last DESC LIMIT ?) "
          "SELECT g.stacktrace_id, g.number, g.first, g.last, (SELECT max(t.id) FROM typed t WHERE t.when_ts "
          "= "
          "g.last AND t.stacktrace_id = g.stacktrace_id AND t.type IS g.type) AS last_id FROM grouped g "
          "ORDER BY g.last DESC, last_id DESC");
  condition.bind_to(rows);
  rows.bind(std::max<std::size_t>(query.limit, 1));
  while (rows.step()) {
    ExceptionGroup& group = groups.emplace_back();
    group.stacktrace_id = rows.integer(0);
    group.count = static_cast<std::uint64_t>(rows.integer(1));
    group.first = from_unix_seconds(rows.real(2));
    group.last = from_unix_seconds(rows.real(3));
    group.last_event_id = rows.integer(4);
    ids.push_back(group.last_event_id);
  }
  const std::vector<EventRecord> events = load(ids);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (const Attribute* type = events[i].data.find("exception.type")) groups[i].type = type->value;
    if (const Attribute* message = events[i].data.find("exception.message"))
      groups[i].message = message->value;
    if (!events[i].frames.empty()) groups[i].top_frame = events[i].frames.front();
  }
  return groups;
}

}  // namespace codewake::internal
