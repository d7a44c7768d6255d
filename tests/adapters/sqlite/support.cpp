#include "support.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

std::string shown(sqlite3_stmt* row, int column) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(row, column));
  const std::string_view bytes(data == nullptr ? "" : data,
                               static_cast<std::size_t>(sqlite3_column_bytes(row, column)));
  if (sqlite3_column_type(row, column) == SQLITE_NULL) return "NULL";
  if (sqlite3_column_type(row, column) != SQLITE_BLOB) return std::string(bytes);
  std::string text = "x'";
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text + "'";
}

}  // namespace

Database::Database(const std::filesystem::path& path) {
  sqlite3* connection = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  connection_.reset(connection);
  if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(connection));
  sqlite3_busy_timeout(connection, 60'000);
}

void Database::exec(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return;
  throw std::runtime_error(sql + ": " + sqlite3_errmsg(connection_.get()));
}

std::vector<std::vector<std::string>> Database::rows(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection_.get(), sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    throw std::runtime_error(sql + ": " + sqlite3_errmsg(connection_.get()));
  }
  std::vector<std::vector<std::string>> rows;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    auto& row = rows.emplace_back();
    for (int i = 0; i < sqlite3_column_count(statement); ++i) row.push_back(shown(statement, i));
  }
  const std::string message = sqlite3_errmsg(connection_.get());
  sqlite3_finalize(statement);
  if (code != SQLITE_DONE) throw std::runtime_error(sql + ": " + message);
  return rows;
}

std::int64_t Database::number(const std::string& sql) {
  return std::stoll(rows(sql).at(0).at(0));
}

Statements::Statements() {
  sqlite3_auto_extension(reinterpret_cast<void (*)()>(&watch));
  sql().clear();
}

Statements::~Statements() {
  sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&watch));
}

std::set<std::string>& Statements::sql() {
  static std::set<std::string> sql;
  return sql;
}

int Statements::watch(sqlite3* connection, char**, const sqlite3_api_routines*) {
  return sqlite3_trace_v2(connection, SQLITE_TRACE_STMT, &note, nullptr);
}

int Statements::note(unsigned, void*, void* statement, void*) {
  char* const text = sqlite3_expanded_sql(static_cast<sqlite3_stmt*>(statement));
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (text != nullptr) sql().insert(text);
  sqlite3_free(text);
  return 0;
}

std::string dsn_of(const std::filesystem::path& path) {
  return "sqlite:///" + std::filesystem::absolute(path).string();
}

std::filesystem::path copy_reference(const std::filesystem::path& folder) {
  const std::filesystem::path copy = folder / "reference.sqlite";
  std::filesystem::copy_file(test_data("reference/pycodewake.sqlite"), copy);
  std::filesystem::permissions(copy, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
  return copy;
}

void make_version_1(Database& database) {
  database.exec(
      "DROP TRIGGER codewake_event_traces_gone; DROP TABLE trace_events; DROP TABLE event_traces; "
      "UPDATE codewake_schema SET version = 1");
}

std::vector<std::vector<std::string>> older_rows(Database& database) {
  std::vector<std::vector<std::string>> all;
  for (const char* select :
       {"id, name FROM environments", "id, name FROM apps", "id, digest FROM stacktraces",
        "id, vsn, app_id FROM app_vsns", "id, stacktrace_id, filename, lineno, src FROM stackframes",
        "id, run_ts, environment_id, pid, username, fqdn, exe_path, app_id, app_vsn_id FROM processes",
        "id, when_ts, process_id, digest, stacktrace_id FROM events",
        "id, \"key\", val, typeof(val), event_id FROM events_data"}) {
    for (auto& row : database.rows(std::string("SELECT ") + select + " ORDER BY id"))
      all.push_back(std::move(row));
  }
  return all;
}

}  // namespace codewake::testing
