#include "postgres_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>

namespace codewake::internal {
namespace {

struct Meaning {
  std::string_view sqlstate;  ///< all of it, or the class: its first two characters
  StoreError::Kind kind;
  std::string_view remedy;
};

constexpr auto kUnavailable = StoreError::Kind::unavailable;
constexpr auto kRejected = StoreError::Kind::rejected;
constexpr auto kInDoubt = StoreError::Kind::in_doubt;

/// Single states stand before the class that they belong to.
constexpr std::array kMeanings = {
    Meaning{"08007", kInDoubt, "the position in the journal tells what was stored"},
    Meaning{"08", kUnavailable, "check that the server runs and can be reached"},
    Meaning{"2200H", kUnavailable, "the ids are used up; give the sequence a larger type"},
    Meaning{"22", kRejected, "record other data"},
    Meaning{"23503", kUnavailable, "a row was deleted meanwhile; try again"},
    Meaning{"23505", kUnavailable,
            "rows were inserted with ids of their own: set the table's sequence beyond its highest id"},
    Meaning{"23", kRejected, "record other data"},
    Meaning{"25006", kUnavailable, "the server or the role may only read; name the primary server"},
    Meaning{"28", kUnavailable, "check user, password, and the server's pg_hba.conf"},
    Meaning{"3D000", kUnavailable, "make the database with createdb"},
    Meaning{"3F", kUnavailable, "make the schema, or name another with options=-csearch_path=…"},
    Meaning{"40003", kInDoubt, "the position in the journal tells what was stored"},
    Meaning{"40", kUnavailable, "others were writing the same rows; try again"},
    Meaning{"42501", kUnavailable, "let this role SELECT, INSERT, UPDATE and DELETE, and once CREATE"},
    Meaning{"42P", kUnavailable, "restore the tables, or let the store make them anew"},
    Meaning{"42", kUnavailable, "check that no other program changed the database's tables"},
    Meaning{"44", kRejected, "record other data"},
    Meaning{"53100", kUnavailable, "make room on the server's disk"},
    Meaning{"53300", kUnavailable, "raise the server's max_connections, or end other connections"},
    Meaning{"53", kUnavailable, "the server lacks memory, disk or connections"},
    Meaning{"54", kRejected, "record less in one value"},
    Meaning{"55P03", kUnavailable, "find out who holds the lock for so long (pg_locks)"},
    Meaning{"57014", kUnavailable, "raise statement_timeout, or find out what the server waits for"},
    Meaning{"57P", kUnavailable, "the server stops or starts; try again"},
    Meaning{"58", kUnavailable, "see the server's log: its disk failed"},
    Meaning{"P0001", kRejected, "a trigger in the database refuses this data"},
    Meaning{"XX", kUnavailable, "see the server's log"},
};

constexpr Meaning kOther = {"", kUnavailable, "see the server's log"};
constexpr Meaning kNoServer = {
    "", kUnavailable,
    "check that the server runs and can be reached, and the DSN's user, password and database"};

const Meaning& meaning_of(std::string_view sqlstate) {
  if (sqlstate.empty()) return kNoServer;
  const auto found = std::find_if(kMeanings.begin(), kMeanings.end(), [&](const Meaning& meaning) {
    return sqlstate.starts_with(meaning.sqlstate);
  });
  return found == kMeanings.end() ? kOther : *found;
}

/// libpqxx has all that the server said: its severity, the message, then lines of details, which may tell of
/// data.
std::string primary_of(std::string text) {
  text.resize(std::min(text.size(), text.find('\n')));
  const std::size_t colon = text.find(":  ");
  return colon == std::string::npos ? text : text.substr(colon + 3);
}

std::string on_one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text;
}

bool is_any_of(const std::string& sqlstate, std::initializer_list<std::string_view> any) {
  return std::find(any.begin(), any.end(), sqlstate) != any.end();
}

constexpr const char* kSerializationFailure = "40001";

}  // namespace

// Not all that libpqxx 6 throws has it.
std::string sqlstate_of(const pqxx::failure& error) {
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error)) return sql->sqlstate();
  if (dynamic_cast<const pqxx::serialization_failure*>(&error) != nullptr) return kSerializationFailure;
  if (dynamic_cast<const pqxx::deadlock_detected*>(&error) != nullptr) return "40P01";
  if (dynamic_cast<const pqxx::statement_completion_unknown*>(&error) != nullptr) return "40003";
  if (dynamic_cast<const pqxx::transaction_rollback*>(&error) != nullptr) return "40000";
  if (dynamic_cast<const pqxx::too_many_connections*>(&error) != nullptr) return "53300";
  return {};
}

Failure to_failure(const pqxx::failure& error, bool is_lost) {
  Failure failure{.kind = is_lost ? Failure::Kind::lost : Failure::Kind::answered,
                  .message = {},
                  .sqlstate = sqlstate_of(error)};
  failure.message = on_one_line(failure.sqlstate.empty() ? error.what() : primary_of(error.what()));
  if (dynamic_cast<const pqxx::in_doubt_error*>(&error) != nullptr) failure.kind = Failure::Kind::in_doubt;
  return failure;
}

StoreError to_store_error(const Failure& failure, std::string_view display, std::string_view doing) {
  const Meaning& meaning = meaning_of(failure.sqlstate);
  const std::string code = failure.sqlstate.empty() ? "" : fmt::format(" (SQLSTATE {})", failure.sqlstate);
  if (failure.kind == Failure::Kind::in_doubt) {
    return {kInDoubt,
            fmt::format("PostgreSQL database {}: {}: the connection was lost while COMMIT was under "
                        "way, so that it may be stored or not: {}{}; look it up",
                        display, doing, failure.message, code)};
  }
  const auto kind = failure.kind == Failure::Kind::lost ? kUnavailable : meaning.kind;
  return {kind, fmt::format("PostgreSQL database {}: {} failed: {}{}; {}", display, doing, failure.message,
                            code, meaning.remedy)};
}

bool is_transient(const pqxx::failure& error) {
  return is_any_of(sqlstate_of(error), {kSerializationFailure, "40P01", "26000", "42P05"});
}

bool is_division_by_zero(const pqxx::failure& error) {
  return sqlstate_of(error) == "22012";
}

bool is_read_only(const pqxx::failure& error) {
  return is_any_of(sqlstate_of(error), {"25006", "42501"});
}

bool is_missing_table(const pqxx::failure& error) {
  return is_any_of(sqlstate_of(error), {"42P01", "42703"});
}

pqxx::sql_error changed_meanwhile(const std::string& what) {
  return pqxx::sql_error(what, "", kSerializationFailure);
}

}  // namespace codewake::internal
