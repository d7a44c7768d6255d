// The part of Reader that looks events up by what they say.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "condition.hpp"
#include "reader.hpp"
#include "removal.hpp"
#include "row.hpp"

namespace codewake::internal {
namespace {

/// So many events are loaded by one set of statements.
constexpr std::size_t kChunk = 1'000;
constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

/// As the terms would have been stored.
std::vector<Attribute> fit(std::vector<Attribute> where) {
  for (Attribute& term : where) {
    term.key = to_storable(term.key);
    if (term.value) term.value = to_storable(*term.value);
  }
  return where;
}

/// True for the rows `d` that say this.
std::string says(Condition& condition, const Attribute& term) {
  std::string sql = "d.\"key\" = " + condition.bind(term.key);
  return sql + (term.value ? " AND d.val = " + condition.bind(*term.value) : " AND d.val IS NULL");
}

/// The same by the index of pairs.
void add_indexed(Condition& condition, const Attribute& term, const Array& parts) {
  condition.add(says(condition, term));
  const std::string hash = pair_hash(condition.bind(term.key), condition.bind(term.value.value_or("")));
  condition.add(fmt::format("{} = ANY(ARRAY(SELECT {} FROM unnest({}) AS part))", pair_key_of("d"),
                            pair_key("part", hash), condition.bind(parts)));
}

void add_ids(Condition& condition, std::string_view column, std::span<const Id> ids) {
  condition.add(fmt::format("{} = ANY({})", column, condition.bind(to_array(ids))));
}

/// The parts of the index of pairs that there are, found by leaping from each to the next.
Array parts_of_index(Transaction& transaction) {
  Array parts(Type::int8);
  const std::string key = pair_key_of("d");
  const pqxx::result rows = transaction.run(
      fmt::format("WITH RECURSIVE parts(part) AS ((SELECT {0} >> 32 FROM events_data d ORDER BY {0} LIMIT 1) "
                  "UNION ALL SELECT (SELECT {0} >> 32 FROM events_data d WHERE {0} >= (p.part + 1) << 32 "
                  "ORDER BY {0} LIMIT 1) FROM parts p WHERE p.part IS NOT NULL) "
                  "SELECT part FROM parts WHERE part IS NOT NULL",
                  key));
  for (const Row row : rows) parts.add(row.integer(0));
  return parts;
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

// The term with the fewest rows decides, the events that have it are asked for the others.
std::optional<std::vector<Id>> Reader::find(const std::vector<Attribute>& where, std::size_t limit) {
  const bool indexed = schema_.version >= kAdditionsVersion;
  const Array parts = indexed ? parts_of_index(transaction_) : Array(Type::int8);
  std::vector<Condition> terms(where.size());
  for (std::size_t i = 0; i < where.size(); ++i) {
    if (indexed) {
      add_indexed(terms[i], where[i], parts);
    } else {
      terms[i].add(says(terms[i], where[i]));
    }
  }
  const auto rarest = rarest_of(terms, limit);
  if (!rarest) return std::nullopt;
  std::vector<Id> ids;
  const pqxx::result rows = transaction_.run(
      fmt::format("SELECT DISTINCT d.event_id FROM events_data d WHERE {} ORDER BY 1", terms[*rarest].sql()),
      terms[*rarest].arguments());
  for (const Row row : rows) ids.push_back(row.integer(0));
  for (std::size_t i = 0; i < where.size(); ++i) {
    if (i != *rarest) ids = keep_those_that_say(where[i], ids);
  }
  return ids;
}

std::optional<std::size_t> Reader::rarest_of(const std::vector<Condition>& terms, std::size_t limit) {
  if (limit == kUnlimited && terms.size() == 1) return 0;
  for (std::size_t few : {std::size_t{1'024}, std::size_t{65'536}, std::size_t{1'000'000}}) {
    few = std::min(few, limit);
    std::optional<std::size_t> rarest;
    auto fewest = static_cast<std::int64_t>(few);
    for (std::size_t i = 0; i < terms.size(); ++i) {
      Condition term = terms[i];
      const std::string most = term.bind(fewest + 1);
      const pqxx::result counted = transaction_.run(
          fmt::format("SELECT count(*) FROM (SELECT 1 FROM events_data d WHERE {} LIMIT {}) c", term.sql(),
                      most),
          term.arguments());
      const std::int64_t count = Row(counted.front()).integer(0);
      if (count <= fewest) rarest = i, fewest = count;
    }
    if (rarest || few == limit) return rarest;
  }
  return 0;
}

std::vector<Id> Reader::keep_those_that_say(const Attribute& term, std::span<const Id> ids) {
  std::vector<Id> kept;
  while (!ids.empty()) {
    const auto chunk = ids.first(std::min(ids.size(), kChunk));
    ids = ids.subspan(chunk.size());
    Condition condition;
    condition.add("d.event_id = ANY(" + condition.bind(to_array(chunk)) + ")");
    condition.add(says(condition, term));
    const pqxx::result rows = transaction_.run(
        fmt::format("SELECT DISTINCT d.event_id FROM events_data d WHERE {} ORDER BY 1", condition.sql()),
        condition.arguments());
    for (const Row row : rows) kept.push_back(row.integer(0));
  }
  return kept;
}

std::vector<EventRecord> Reader::events_by_data(const std::vector<Attribute>& terms,
                                                std::optional<Id> process_id) {
  std::vector<Id> ids;
  if (terms.empty()) {
    const pqxx::result rows = transaction_.run(
        "SELECT id FROM events WHERE $1::bigint IS NULL OR process_id = $1::bigint ORDER BY id",
        Arguments(process_id));
    for (const Row row : rows) ids.push_back(row.integer(0));
  } else {
    ids = find(fit(terms), kUnlimited).value();
  }
  std::vector<EventRecord> found;
  for (std::span<const Id> rest(ids); !rest.empty();) {
    const auto chunk = rest.first(std::min(rest.size(), kChunk));
    rest = rest.subspan(chunk.size());
    for (EventRecord& event : load(chunk, process_id)) found.push_back(std::move(event));
  }
  return found;
}

// Of one name each at most.
std::optional<std::vector<Id>> Reader::processes_of(const std::optional<std::string>& app_name,
                                                    const std::optional<std::string>& env_name) {
  if (!app_name && !env_name) return std::nullopt;
  Condition condition;
  if (app_name) {
    condition.add(fmt::format("app_id = (SELECT id FROM apps WHERE name = {})",
                              condition.bind(to_storable(*app_name))));
  }
  if (env_name) {
    condition.add(fmt::format("environment_id = (SELECT id FROM environments WHERE name = {})",
                              condition.bind(to_storable(*env_name))));
  }
  std::vector<Id> ids;
  const pqxx::result rows =
      transaction_.run("SELECT id FROM processes WHERE " + condition.sql(), condition.arguments());
  for (const Row row : rows) ids.push_back(row.integer(0));
  return ids;
}

/// What the events of a page must be.
struct Reader::Search {
  Condition event = {};               ///< of themselves, but for what follows
  std::vector<Id> processes = {};     ///< of one of these; empty: of any
  std::vector<Attribute> terms = {};  ///< that are common, so that no index is asked for them
  std::optional<Place> after = std::nullopt;
};

std::vector<Place> Reader::places(const std::string& sql, const Arguments& arguments) {
  std::vector<Place> places;
  const pqxx::result rows = transaction_.run(sql, arguments);
  for (const Row row : rows) places.push_back({row.real(1), row.integer(0)});
  return places;
}

// Events that match may be common, or rare, or be common no more. Where the newest events have too few of
// them, the index of whatever makes them rare is asked.
std::vector<Place> Reader::next_places(Search& search, std::size_t most) {
  constexpr std::size_t kWalk = 10'000;
  constexpr std::string_view kNewestFirst = "ORDER BY e.when_ts DESC, e.id DESC LIMIT";
  Condition condition = search.event;
  if (search.after) {
    condition.add(fmt::format("(e.when_ts, e.id) < ({}, {})", condition.bind(search.after->when),
                              condition.bind(search.after->id)));
  }
  const std::string all = "SELECT e.id, e.when_ts, e.process_id FROM events e WHERE " + condition.sql();
  const std::string limit = fmt::format("{} {}", kNewestFirst, most);
  if (search.processes.empty() && search.terms.empty()) {
    return places(fmt::format("{} {}", all, limit), condition.arguments());
  }
  Condition rest = condition.with_arguments_only();
  if (!search.processes.empty()) add_ids(rest, "e.process_id", search.processes);
  for (const Attribute& term : search.terms) {  // OFFSET 0 keeps PostgreSQL from joining
    rest.add(fmt::format("EXISTS (SELECT 1 FROM events_data d WHERE d.event_id = e.id AND {} OFFSET 0)",
                         says(rest, term)));
  }
  const bool indexed = schema_.version >= kAdditionsVersion;
  const std::string walk = indexed ? fmt::format("{} {}", kNewestFirst, kWalk) : "OFFSET 0";
  std::vector<Place> found =
      places(fmt::format("SELECT e.id, e.when_ts FROM ({} {}) e WHERE {} {}", all, walk, rest.sql(), limit),
             rest.arguments());
  if (!indexed || found.size() == most) return found;
  if (!search.terms.empty()) {
    add_ids(search.event, "e.id", find(search.terms, kUnlimited).value());
    if (!search.processes.empty()) add_ids(search.event, "e.process_id", search.processes);
    search.terms.clear();
    search.processes.clear();
    return next_places(search, most);
  }
  const std::string processes = condition.bind(to_array(search.processes));
  return places(fmt::format("SELECT e.id, e.when_ts FROM unnest({0}) AS process(id) CROSS JOIN LATERAL "
                            "({1} AND e.process_id = process.id {2}) e {2}",
                            processes, all, limit),
                condition.arguments());
}

EventPage Reader::events(const EventQuery& query) {
  const std::size_t limit = std::max<std::size_t>(query.limit, 1);
  const std::vector<Attribute> where = fit(query.where);
  Search search;
  if (!query.cursor.empty()) search.after = parse_cursor(query.cursor);
  EventPage page;
  const auto processes = processes_of(query.app_name, query.env_name);
  if (processes && processes->empty()) return page;
  if (query.process_id) search.event.add("e.process_id = " + search.event.bind(*query.process_id));
  add_times(search.event, query);
  if (query.has_stacktrace) {
    search.event.add(*query.has_stacktrace ? "e.stacktrace_id IS NOT NULL" : "e.stacktrace_id IS NULL");
  }
  constexpr std::size_t kRare = 20'000;
  std::optional<std::vector<Id>> rare;
  if (!where.empty() && schema_.version >= kAdditionsVersion) rare = find(where, kRare);
  if (rare) add_ids(search.event, "e.id", *rare);
  if (!rare) search.terms = where;
  // Where something else leaves few events already, no other index is wanted.
  if (processes && (rare || query.process_id)) {
    add_ids(search.event, "e.process_id", *processes);
  } else if (processes) {
    search.processes = *processes;
  }
  while (page.events.size() < limit) {
    const std::size_t wanted = std::min(limit - page.events.size(), kChunk);
    const std::vector<Place> places = next_places(search, wanted + 1);
    std::vector<Id> ids;
    for (const Place& place : places) {
      if (ids.size() == wanted) break;
      ids.push_back(place.id);
      search.after = place;
    }
    for (EventRecord& event : load(ids)) page.events.push_back(std::move(event));
    if (places.size() <= wanted) return page;
  }
  page.next = to_cursor(*search.after);
  return page;
}

// The groups of the newest stack traces have the newest groups among them: the others are not looked at.
std::vector<ExceptionGroup> Reader::exceptions(const ExceptionQuery& query) {
  transaction_.exec(kUseIndexes);
  std::vector<ExceptionGroup> groups;
  Condition condition;
  condition.add("e.stacktrace_id IS NOT NULL");
  add_times(condition, query);
  const auto processes = processes_of(query.app_name, query.env_name);
  if (processes && processes->empty()) return groups;
  if (processes) add_ids(condition, "e.process_id", *processes);
  const auto most = static_cast<std::int64_t>(
      std::clamp<std::size_t>(query.limit, 1, std::numeric_limits<std::int64_t>::max()));
  const std::string newest =
      processes ? fmt::format(
                      "SELECT e.stacktrace_id, max(e.when_ts) AS last FROM events e WHERE {} "
                      "GROUP BY e.stacktrace_id",
                      condition.sql())
                : fmt::format(
                      "SELECT s.id AS stacktrace_id, l.last FROM stacktraces s CROSS JOIN LATERAL "
                      "(SELECT e.when_ts AS last FROM events e WHERE {} AND e.stacktrace_id = s.id "
                      "ORDER BY e.when_ts DESC LIMIT 1) l",
                      condition.sql());
  const std::string sql = fmt::format(
      "WITH newest AS ({1}), wanted AS (SELECT stacktrace_id FROM newest WHERE last >= coalesce((SELECT last "
      "FROM newest ORDER BY last DESC LIMIT 1 OFFSET {2} - 1), '-Infinity')), "
      "typed AS (SELECT e.id, e.when_ts, e.stacktrace_id, (SELECT d.val FROM events_data d "
      "WHERE d.event_id = e.id AND d.\"key\" = 'exception.type' ORDER BY d.id LIMIT 1) AS type "
      "FROM wanted w CROSS JOIN LATERAL (SELECT * FROM events e WHERE {0} AND e.stacktrace_id = "
      "w.stacktrace_id OFFSET 0) e), ranked AS (SELECT stacktrace_id, id, when_ts, count(*) OVER every AS "
      "number, "
      "min(when_ts) OVER every AS first, row_number() OVER newest AS place FROM typed "
      "WINDOW every AS (PARTITION BY stacktrace_id, type), newest AS (PARTITION BY stacktrace_id, type "
      "ORDER BY when_ts DESC, id DESC)) SELECT stacktrace_id, number, first, when_ts, id FROM ranked "
      "WHERE place = 1 ORDER BY when_ts DESC, id DESC LIMIT {2}",
      condition.sql(), newest, condition.bind(most));
  std::vector<Id> ids;
  const pqxx::result rows = transaction_.run(sql, condition.arguments());
  for (const Row row : rows) {
    ExceptionGroup& group = groups.emplace_back();
    group.stacktrace_id = row.integer(0);
    group.count = static_cast<std::uint64_t>(row.integer(1));
    group.first = from_unix_seconds(row.real(2));
    group.last = from_unix_seconds(row.real(3));
    group.last_event_id = row.integer(4);
    ids.push_back(group.last_event_id);
  }
  const std::vector<EventRecord> events = load(ids);
  for (std::size_t i = 0; i < groups.size(); ++i) groups[i].describe_by(events[i]);
  return groups;
}

}  // namespace codewake::internal
