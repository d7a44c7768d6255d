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

/// The array keeps PostgreSQL from joining: it shall walk by time.
template <class AnyQuery>
void add_common(Condition& condition, const AnyQuery& query) {
  if (query.from) condition.add("e.when_ts >= " + condition.bind(rounds_up_to(*query.from)));
  if (query.to) condition.add("e.when_ts < " + condition.bind(rounds_up_to(*query.to)));
  if (query.app_name) {
    condition.add(
        fmt::format("e.process_id = ANY(ARRAY(SELECT p.id FROM processes p JOIN apps a "
                    "ON a.id = p.app_id WHERE a.name = {}))",
                    condition.bind(to_storable(*query.app_name))));
  }
  if (query.env_name) {
    condition.add(
        fmt::format("e.process_id = ANY(ARRAY(SELECT p.id FROM processes p JOIN environments v "
                    "ON v.id = p.environment_id WHERE v.name = {}))",
                    condition.bind(to_storable(*query.env_name))));
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

/// The parts of the index of pairs that there are, found by leaping from each to the next.
Array parts_of_index(Connection& connection) {
  Array parts(Type::int8);
  const std::string key = pair_key_of("d");
  const Rows rows = connection.run({fmt::format(
      "WITH RECURSIVE parts(part) AS ((SELECT {0} >> 32 FROM events_data d ORDER BY {0} LIMIT 1) "
      "UNION ALL SELECT (SELECT {0} >> 32 FROM events_data d WHERE {0} >= (p.part + 1) << 32 "
      "ORDER BY {0} LIMIT 1) FROM parts p WHERE p.part IS NOT NULL) "
      "SELECT part FROM parts WHERE part IS NOT NULL",
      key)});
  for (const Row row : rows) parts.add(row.integer(0));
  return parts;
}

}  // namespace

// The term with the fewest rows decides, the events that have it are asked for the others.
std::optional<std::vector<Id>> Reader::find(const std::vector<Attribute>& where, std::size_t limit) {
  const bool indexed = schema_.version >= 1;
  const Array parts = indexed ? parts_of_index(connection_) : Array(Type::int8);
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
  const Rows rows = connection_.run(
      {fmt::format("SELECT DISTINCT d.event_id FROM events_data d WHERE {} ORDER BY 1", terms[*rarest].sql()),
       terms[*rarest].arguments()});
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
    std::vector<Statement> counts;
    for (Condition term : terms) {
      const std::string most = term.bind(few + 1);
      counts.push_back({fmt::format("SELECT count(*) FROM (SELECT 1 FROM events_data d WHERE {} LIMIT {}) c",
                                    term.sql(), most),
                        term.arguments()});
    }
    const auto answers = connection_.run(counts);
    std::optional<std::size_t> rarest;
    auto fewest = static_cast<std::int64_t>(few);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const std::int64_t count = answers[i].front().integer(0);
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
    const Rows rows = connection_.run(
        {fmt::format("SELECT DISTINCT d.event_id FROM events_data d WHERE {} ORDER BY 1", condition.sql()),
         condition.arguments()});
    for (const Row row : rows) kept.push_back(row.integer(0));
  }
  return kept;
}

std::vector<EventRecord> Reader::events_by_data(const std::vector<Attribute>& terms,
                                                std::optional<Id> process_id) {
  const Snapshot snapshot(connection_);
  std::vector<Id> ids;
  if (terms.empty()) {
    const Rows rows =
        connection_.run({"SELECT id FROM events WHERE $1::bigint IS NULL OR process_id = $1 ORDER BY id",
                         Arguments(process_id)});
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

EventPage Reader::events(const EventQuery& query) {
  const Snapshot snapshot(connection_);
  const std::size_t limit = std::max<std::size_t>(query.limit, 1);
  const std::vector<Attribute> where = fit(query.where);
  std::optional<Place> after;
  if (!query.cursor.empty()) after = parse_cursor(query.cursor);
  Condition fixed;
  if (query.process_id) fixed.add("e.process_id = " + fixed.bind(*query.process_id));
  add_common(fixed, query);
  if (query.has_stacktrace) {
    fixed.add(*query.has_stacktrace ? "e.stacktrace_id IS NOT NULL" : "e.stacktrace_id IS NULL");
  }
  // Walking by time finds common terms soonest, the index rare ones.
  constexpr std::size_t kRare = 20'000;
  std::optional<std::vector<Id>> rare;
  if (!where.empty() && schema_.version >= 1) rare = find(where, kRare);
  if (rare) {
    fixed.add("e.id = ANY(" + fixed.bind(to_array(*rare)) + ")");
  } else {
    for (const Attribute& term : where) {  // OFFSET 0 keeps PostgreSQL from joining: it shall walk by time
      fixed.add(fmt::format("EXISTS (SELECT 1 FROM events_data d WHERE d.event_id = e.id AND {} OFFSET 0)",
                            says(fixed, term)));
    }
  }
  EventPage page;
  while (page.events.size() < limit) {
    Condition condition = fixed;
    if (after) {
      condition.add(fmt::format("(e.when_ts, e.id) < ({}, {})", condition.bind(after->when),
                                condition.bind(after->id)));
    }
    const std::size_t wanted = std::min(limit - page.events.size(), kChunk);
    const std::string most = condition.bind(wanted + 1);
    const Rows rows = connection_.run({fmt::format("SELECT e.id, e.when_ts FROM events e WHERE {} "
                                                   "ORDER BY e.when_ts DESC, e.id DESC LIMIT {}",
                                                   condition.sql(), most),
                                       condition.arguments()});
    std::vector<Id> ids;
    for (const Row row : rows) {
      if (ids.size() == wanted) break;
      ids.push_back(row.integer(0));
      after = Place{row.real(1), ids.back()};
    }
    for (EventRecord& event : load(ids)) page.events.push_back(std::move(event));
    if (static_cast<std::size_t>(rows.size()) <= wanted) return page;
  }
  page.next = to_cursor(*after);
  return page;
}

std::vector<ExceptionGroup> Reader::exceptions(const ExceptionQuery& query) {
  const Snapshot snapshot(connection_);
  Condition condition;
  condition.add("e.stacktrace_id IS NOT NULL");
  add_common(condition, query);
  const auto most = static_cast<std::int64_t>(
      std::clamp<std::size_t>(query.limit, 1, std::numeric_limits<std::int64_t>::max()));
  const std::string sql = fmt::format(
      "WITH typed AS (SELECT e.id, e.when_ts, e.stacktrace_id, (SELECT d.val FROM events_data d "
      "WHERE d.event_id = e.id AND d.\"key\" = 'exception.type' ORDER BY d.id LIMIT 1) AS type FROM events e "
      "WHERE {}), ranked AS (SELECT stacktrace_id, id, when_ts, count(*) OVER every AS number, "
      "min(when_ts) OVER every AS first, row_number() OVER newest AS place FROM typed "
      "WINDOW every AS (PARTITION BY stacktrace_id, type), newest AS (PARTITION BY stacktrace_id, type "
      "ORDER BY when_ts DESC, id DESC)) SELECT stacktrace_id, number, first, when_ts, id FROM ranked "
      "WHERE place = 1 ORDER BY when_ts DESC, id DESC LIMIT {}",
      condition.sql(), condition.bind(most));
  std::vector<ExceptionGroup> groups;
  std::vector<Id> ids;
  const Rows rows = connection_.run({sql, condition.arguments()});
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
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (const Attribute* type = events[i].data.find("exception.type")) groups[i].type = type->value;
    if (const Attribute* message = events[i].data.find("exception.message"))
      groups[i].message = message->value;
    if (!events[i].frames.empty()) groups[i].top_frame = events[i].frames.front();
  }
  return groups;
}

}  // namespace codewake::internal
