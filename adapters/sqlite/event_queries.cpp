// The part of Reader that looks events up by what they say.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <functional>
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

void add_ids(Condition& condition, std::string_view column, std::span<const Id> ids) {
  condition.add(fmt::format("{} IN (SELECT value FROM json_each(?))", column), to_json(ids));
}

}  // namespace

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
  return schema_.version < kAdditionsVersion ? 0 : pairs_indexed_to(connection_);
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
          (schema_.version < kAdditionsVersion ||
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

// Of one name each at most.
std::optional<std::vector<Id>> Reader::processes_of(const std::optional<std::string>& app_name,
                                                    const std::optional<std::string>& env_name) {
  if (!app_name && !env_name) return std::nullopt;
  Condition condition;
  if (app_name) condition.add("app_id = (SELECT id FROM apps WHERE name = ?)", *app_name);
  if (env_name) condition.add("environment_id = (SELECT id FROM environments WHERE name = ?)", *env_name);
  std::vector<Id> ids;
  Query rows(connection_, "SELECT id FROM processes WHERE " + condition.sql() + " ORDER BY id DESC");
  condition.bind_to(rows);
  while (rows.step()) ids.push_back(rows.integer(0));
  return ids;
}

/// What the events of a page must be.
struct Reader::Search {
  Condition event = {};               ///< of themselves, but for what follows
  std::vector<Id> processes = {};     ///< of one of these; empty: of any
  std::vector<Attribute> terms = {};  ///< that are common, so that no index is asked for them
  std::optional<Place> after = std::nullopt;
};

std::vector<Place> Reader::places(const Condition& inner, const Condition& outer, std::size_t most) {
  constexpr std::size_t kWalk = 10'000;
  constexpr std::string_view kNewestFirst = "ORDER BY e.when_ts DESC, e.id DESC LIMIT ?";
  std::string sql = fmt::format("SELECT e.id, e.when_ts, e.process_id FROM events e WHERE {} {}", inner.sql(),
                                kNewestFirst);
  if (!outer.empty()) {
    sql =
        fmt::format("SELECT w.id, w.when_ts FROM ({}) w WHERE {} ORDER BY w.when_ts DESC, w.id DESC LIMIT ?",
                    sql, outer.sql());
  }
  Query rows(connection_, sql);
  inner.bind_to(rows);
  if (!outer.empty()) {
    rows.bind(kWalk);
    outer.bind_to(rows);
  }
  rows.bind(most);
  std::vector<Place> found;
  while (rows.step()) found.push_back({rows.real(1), rows.integer(0)});
  return found;
}

// Events that match may be common, or rare, or be common no more. Where the newest events have too few of
// them, the index of whatever makes them rare is asked.
std::vector<Place> Reader::next_places(Search& search, std::size_t most) {
  Condition condition = search.event;
  if (search.after) {
    condition.add("e.when_ts <= ? AND (e.when_ts < ? OR e.id < ?)", search.after->when, search.after->when,
                  search.after->id);
  }
  const auto add_rest = [&](Condition& to, std::string_view event) {
    if (!search.processes.empty()) add_ids(to, fmt::format("+{}.process_id", event), search.processes);
    const std::string exists =
        fmt::format("EXISTS (SELECT 1 FROM events_data d WHERE d.event_id = {}.id AND", event);
    for (const Attribute& term : search.terms) add_term(to, exists, term, ")");
  };
  Condition rest;
  add_rest(rest, "w");
  std::vector<Place> found = places(condition, rest, most);
  if (rest.empty() || found.size() == most) return found;
  if (!search.terms.empty()) {
    if (!tail_is_short()) {
      add_rest(condition, "e");
      return places(condition, {}, most);
    }
    const auto ids = candidates(search.terms, std::numeric_limits<std::size_t>::max()).value();
    add_ids(search.event, "e.id", ids);
    if (!search.processes.empty()) add_ids(search.event, "+e.process_id", search.processes);
    search.terms.clear();
    search.processes.clear();
    return next_places(search, most);
  }
  found.clear();
  for (const Id process : search.processes) {
    Condition own = condition;
    own.add("e.process_id = ?", process);
    if (found.size() == most) own.add("e.when_ts >= ?", found.back().when);
    for (const Place& place : places(own, {}, most)) found.push_back(place);
    std::sort(found.begin(), found.end(), std::greater<>());
    if (found.size() > most) found.resize(most);
  }
  return found;
}

EventPage Reader::events(const EventQuery& query) {
  const Snapshot snapshot(connection_);
  const std::size_t limit = std::max<std::size_t>(query.limit, 1);
  const std::vector<Attribute> where = fit(query.where);
  Search search;
  if (!query.cursor.empty()) search.after = parse_cursor(query.cursor);
  EventPage page;
  const auto processes = processes_of(query.app_name, query.env_name);
  if (processes && processes->empty()) return page;
  if (query.process_id) search.event.add("e.process_id = ?", *query.process_id);
  add_times(search.event, query);
  if (query.has_stacktrace) {
    search.event.add(*query.has_stacktrace ? "e.stacktrace_id IS NOT NULL" : "e.stacktrace_id IS NULL");
  }
  constexpr std::size_t kRare = 20'000;
  std::optional<std::vector<Id>> rare;
  if (!where.empty() && tail_is_short()) rare = candidates(where, kRare);
  if (rare) add_ids(search.event, "e.id", *rare);
  if (!rare) search.terms = where;
  // Where something else leaves few events already, no other index is wanted.
  if (processes && (rare || query.process_id)) {
    add_ids(search.event, "+e.process_id", *processes);
  } else if (processes) {
    search.processes = *processes;
  }
  Place last;
  while (true) {
    const std::vector<Place> places = next_places(search, std::min(limit, kChunk - 1) + 1);
    if (places.empty()) return page;
    search.after = places.back();
    std::vector<Id> ids;
    for (const Place& place : places) ids.push_back(place.id);
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

// The groups of the newest stack traces have the newest groups among them: the others are not looked at.
std::vector<ExceptionGroup> Reader::exceptions(const ExceptionQuery& query) {
  const Snapshot snapshot(connection_);
  std::vector<ExceptionGroup> groups;
  Condition condition;
  condition.add("e.stacktrace_id IS NOT NULL");
  add_times(condition, query);
  if (const auto processes = processes_of(query.app_name, query.env_name)) {
    if (processes->empty()) return groups;
    add_ids(condition, "e.process_id", *processes);
  }
  const auto most = static_cast<Id>(
      std::clamp<std::size_t>(query.limit, 1, static_cast<std::size_t>(std::numeric_limits<Id>::max())));
  constexpr std::string_view kType =
      "(SELECT d.val FROM events_data d WHERE d.event_id = e.id AND d.\"key\" = 'exception.type' "
      "ORDER BY d.id LIMIT 1)";
  Query rows(connection_,
             fmt::format("WITH newest AS MATERIALIZED (SELECT e.stacktrace_id, max(e.when_ts) AS last "
                         "FROM events e WHERE {0} GROUP BY e.stacktrace_id), "
                         "wanted AS (SELECT stacktrace_id FROM newest WHERE last >= coalesce((SELECT last "
                         "FROM newest ORDER BY last DESC LIMIT 1 OFFSET ?), -1e999)), "
                         "grouped AS (SELECT e.stacktrace_id, {1} AS type, count(*) AS number, "
                         "min(e.when_ts) AS first, max(e.when_ts) AS last FROM wanted CROSS JOIN events e "
                         "ON e.stacktrace_id = wanted.stacktrace_id WHERE {0} GROUP BY 1, 2 "
                         "ORDER BY last DESC LIMIT ?) "
                         "SELECT g.stacktrace_id, g.number, g.first, g.last, (SELECT max(e.id) FROM events e "
                         "WHERE {0} AND e.stacktrace_id = g.stacktrace_id AND e.when_ts = g.last "
                         "AND {1} IS g.type) AS last_id FROM grouped g ORDER BY g.last DESC, last_id DESC",
                         condition.sql(), kType));
  condition.bind_to(rows);
  rows.bind(most - 1);
  condition.bind_to(rows);
  rows.bind(most);
  condition.bind_to(rows);
  std::vector<Id> ids;
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
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i].describe_by(events[i]);
  return groups;
}

}  // namespace codewake::internal
