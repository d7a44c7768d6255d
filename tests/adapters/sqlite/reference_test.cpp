// The database that Code Wake for Python wrote, read through the store.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "codewake/utf8.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using Json = nlohmann::json;

Json reference_rows() {
  return Json::parse(read_file(test_data("reference/pycodewake.json")));
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// As the store must give a value of the JSON file back: text, bytes as text made fit, NULL.
bool is_value(const std::optional<std::string>& value, const Json& expected) {
  if (expected.is_null() || !value) return expected.is_null() && !value;
  if (expected.is_string()) return *value == to_storable(expected.get<std::string>());
  if (expected.contains("hex")) return *value == to_storable(from_hex(expected["hex"]));
  const std::string head = expected["head"];
  return value->size() == expected["len"] && value->starts_with(head);
}

std::optional<Id> id_of(const Json& value) {
  return value.is_null() ? std::nullopt : std::optional<Id>(value.get<Id>());
}

void check_process(SqliteStore& store, const Json& row) {
  CAPTURE(row["id"].get<Id>());
  const auto process = store.get_process_by_id(row["id"]);
  REQUIRE(process);
  CHECK(process->run_ts == from_unix_seconds(row["run_ts"]));
  CHECK(process->pid == row["pid"].get<std::int64_t>());
  CHECK(is_value(process->username, row["username"]));
  CHECK(is_value(process->fqdn, row["fqdn"]));
  CHECK(is_value(process->exe_path, row["exe_path"]));
  CHECK(process->app.id == row["app_id"].get<Id>());
  CHECK((process->app_vsn ? std::optional(process->app_vsn->id) : std::nullopt) == id_of(row["app_vsn_id"]));
  CHECK((process->environment ? std::optional(process->environment->id) : std::nullopt) ==
        id_of(row["environment_id"]));
}

void check_event(const EventRecord& event, const Json& row, const Json& rows) {
  CAPTURE(event.id);
  CHECK(event.when == from_unix_seconds(row["when_ts"]));
  CHECK(event.process_id == row["process_id"].get<Id>());
  CHECK((event.digest ? to_hex(*event.digest) : "none") ==
        (row["digest"].is_null() ? "none" : row["digest"]["hex"].get<std::string>()));
  CHECK(event.stacktrace_id == id_of(row["stacktrace_id"]));
  std::size_t next = 0;
  for (const Json& data : rows["events_data"]) {
    if (data["event_id"] != event.id) continue;
    REQUIRE(next < event.data.size());
    CHECK(event.data[next].key == data["key"].get<std::string>());
    CHECK(is_value(event.data[next].value, data["val"]));
    ++next;
  }
  CHECK(next == event.data.size());
  std::vector<Json> frames;
  for (const Json& frame : rows["stackframes"]) {
    if (id_of(frame["stacktrace_id"]) == event.stacktrace_id) frames.push_back(frame);
  }
  std::reverse(frames.begin(), frames.end());
  REQUIRE(event.frames.size() == frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(event.frames[i].filename == frames[i]["filename"].get<std::string>());
    CHECK(event.frames[i].lineno == frames[i]["lineno"].get<std::uint32_t>());
    CHECK(is_value(event.frames[i].src, frames[i]["src"]));
    CHECK(event.frames[i].function.empty());
  }
}

void check_every_row(SqliteStore& store) {
  const Json rows = reference_rows();
  for (const Json& row : rows["environments"]) {
    CHECK(store.get_environment_by_id(row["id"]) == EnvironmentRecord{row["id"], row["name"]});
  }
  for (const Json& row : rows["apps"])
    CHECK(store.get_app_by_id(row["id"]) == AppRecord{row["id"], row["name"]});
  for (const Json& row : rows["app_vsns"]) {
    CHECK(store.get_app_vsn_by_id(row["id"]) == AppVersionRecord{row["id"], row["vsn"], row["app_id"]});
  }
  for (const Json& row : rows["processes"]) check_process(store, row);
  const auto events = store.get_events_by_data({});
  REQUIRE(events.size() == rows["events"].size());
  for (std::size_t i = 0; i < events.size(); ++i) check_event(events[i], rows["events"][i], rows);
}

TEST_CASE("every row that Code Wake for Python wrote is read as the reference says") {
  const TemporaryFolder folder;
  SqliteStore store(dsn_of(copy_reference(folder.path())));
  check_every_row(store);
}

TEST_CASE("upgrading a database of Code Wake for Python changes none of its rows") {
  const TemporaryFolder folder;
  const auto file = copy_reference(folder.path());
  const auto before = [&] {
    Database database(file);
    return older_rows(database);
  }();
  REQUIRE(before.size() == 2 + 5 + 3 + 7 + 11 + 28 + 43 + 54);
  {
    SqliteStore store(dsn_of(file));
    CHECK(store.get_apps().size() == 5);
  }
  Database database(file);
  CHECK(older_rows(database) == before);
  CHECK(database.number("SELECT version FROM codewake_schema") == 2);
  CHECK(database.rows("PRAGMA integrity_check") == std::vector<std::vector<std::string>>{{"ok"}});
}

TEST_CASE("the older system's own queries read what the store wrote") {
  const TemporaryFolder folder;
  const auto file = copy_reference(folder.path());
  {
    SqliteStore store(dsn_of(file));
    const std::vector<std::string> values = {"from C++"};
    write_events(store, "app-c++", "who", values);
  }
  Database database(file);
  const auto rows = database.rows(
      "SELECT DISTINCT e.id, a.name, v.vsn, n.name, d.val FROM events e JOIN events_data d ON e.id = "
      "d.event_id JOIN processes p ON "
      "p.id = e.process_id JOIN apps a ON a.id = p.app_id JOIN app_vsns v ON v.id = p.app_vsn_id JOIN "
      "environments n ON n.id = "
      "p.environment_id WHERE d.key = 'who' AND d.val = 'from C++'");
  CHECK(rows == std::vector<std::vector<std::string>>{{"44", "app-c++", "1.0", "test", "from C++"}});
  database.exec(
      "INSERT INTO events(when_ts, process_id) VALUES(1.5, 1); INSERT INTO events_data(\"key\", val, "
      "event_id) "
      "VALUES('who', 'from Python', 45)");
  SqliteStore store(dsn_of(file));
  CHECK(store.get_events_by_data({{"who", "from Python"}}).size() == 1);
}

}  // namespace
}  // namespace codewake::testing
