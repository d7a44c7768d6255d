#include "postgres_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

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

std::string on_one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::replace(text.begin(), text.end(), '\t', ' ');
  return text;
}

}  // namespace

Failure::Failure(const std::string& message, std::string sqlstate, Connection connection)
    : runtime_error(on_one_line(message)), sqlstate_(std::move(sqlstate)), connection_(connection) {}

Failure Failure::at_commit() const {
  return {what(), sqlstate_, connection_ == Connection::lost ? Connection::lost_at_commit : connection_};
}

StoreError to_store_error(const Failure& failure, std::string_view display, std::string_view doing) {
  const Meaning& meaning = meaning_of(failure.sqlstate());
  const std::string code =
      failure.sqlstate().empty() ? "" : fmt::format(" (SQLSTATE {})", failure.sqlstate());
  if (failure.connection() == Failure::Connection::lost_at_commit) {
    return {kInDoubt,
            fmt::format("PostgreSQL database {}: {}: the connection was lost while COMMIT was under "
                        "way, so that it may be stored or not: {}{}; look it up",
                        display, doing, failure.what(), code)};
  }
  const auto kind = failure.connection() == Failure::Connection::lost ? kUnavailable : meaning.kind;
  return {kind, fmt::format("PostgreSQL database {}: {} failed: {}{}; {}", display, doing, failure.what(),
                            code, meaning.remedy)};
}

bool is_transient(const Failure& failure) noexcept {
  return failure.sqlstate() == "40001" || failure.sqlstate() == "40P01";
}

bool is_read_only(const Failure& failure) noexcept {
  return failure.sqlstate() == "25006" || failure.sqlstate() == "42501";
}

bool is_missing_table(const Failure& failure) noexcept {
  return failure.sqlstate() == "42P01" || failure.sqlstate() == "42703";
}

}  // namespace codewake::internal
