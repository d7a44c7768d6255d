// Code Wake for Python and this library on one database: each reads what the other wrote.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/postgres/server.hpp"
#include "codewake/sql14_store.hpp"
#include "interop/older.hpp"
#include "support/child.hpp"
#include "support/journal_folder.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

/// For both sides: Python's driver waits for five seconds otherwise.
std::string sqlite_in(const TemporaryFolder& folder) {
  return "sqlite:///" + (folder / "events.sqlite").string() + "?timeout=60";
}

std::string postgres_on(const Database& database) {
  return "postgresql+psycopg2" + database.dsn().substr(database.dsn().find(':'));
}

/// One case for each database, empty at first; on PostgreSQL the tables are there, for Python cannot make
/// them.
#define CODEWAKE_ON_BOTH(sentence, check)         \
  TEST_CASE(sentence " (SQLite)") {               \
    CODEWAKE_NEEDS_OLDER();                       \
    const TemporaryFolder folder;                 \
    check(sqlite_in(folder));                     \
  }                                               \
  TEST_CASE(sentence " (PostgreSQL)") {           \
    CODEWAKE_NEEDS_OLDER();                       \
    CODEWAKE_NEEDS_SERVER();                      \
    const Database database;                      \
    Sql14Store(postgres_on(database)).get_apps(); \
    check(postgres_on(database));                 \
  }

using Data = std::vector<std::pair<std::string, Json>>;

Json event(const std::optional<Data>& data, bool raise = false) {
  return {{"data", data ? Json(*data) : Json()}, {"raise", raise}};
}

/// What both sides can log.
const Json& various_events() {
  static const Json events = {
      event(Data{{"greeting", "gr\u00fc\u00df \u65e5\u672c \U0001F600"}, {"\u043a\u043b\u044e\u0447", "x"}}),
      event(Data{{"", "no key"}, {"no value", ""}}),
      event(Data{{"twice", "1"}, {"twice", "2"}, {"again", "1"}, {"twice", "1"}}),
      event(Data{{"large", std::string(10 * 1024, 'v')}, {"line", "one\ntwo\r\n\t'\"\\%"}}),
      event(Data()),
      event(std::nullopt),
      event(Data{{"event", "fault"}}, true),
      event(Data{{"event", "fault"}}, true),
  };
  return events;
}

/// Reads by both sides, which must say the same, and of every digest what is stored.
Json seen_by_both(const std::string& dsn) {
  Json older = run_older(settings_of(dsn), "read");
  for (Json& seen : older["events"]) {
    CAPTURE(seen.dump());
    if (!seen["digest_computed"].is_null()) CHECK(seen["digest"] == seen["digest_computed"]);
    if (!seen["stack_digest_computed"].is_null())
      CHECK(seen["stack_digest"] == seen["stack_digest_computed"]);
    seen.erase("stack_digest");
  }
  Sql14Store store(dsn);
  const Json ours = seen_by_us(store);
  CHECK(ours == older);
  return ours;
}

/// Whether the event has the data that was logged, and a stack where it should; an exception may have more.
void check_event(const Json& seen, const Json& logged) {
  CAPTURE(seen.dump());
  const Json given = logged["data"].is_null() ? Json::array() : logged["data"];
  REQUIRE(seen["data"].size() >= given.size());
  for (std::size_t i = 0; i < given.size(); ++i) CHECK(seen["data"][i] == given[i]);
  CHECK((seen["stack"].is_null() && seen["frames"].empty()) == !logged["raise"]);
  if (logged["raise"]) return;
  CHECK(seen["data"].size() == given.size());
  CHECK(seen["digest"].is_null() == logged["data"].is_null());
}

void check_process(const Json& seen, const std::string& app, const std::string& vsn,
                   const Json& environment) {
  CAPTURE(seen.dump());
  CHECK(seen["app"][1] == app);
  CHECK(seen["vsn"][1] == vsn);
  CHECK(seen["vsn"][2] == seen["app"][0]);
  CHECK(seen["environment"] == environment);
  CHECK(seen["pid"] > 0);
  CHECK_FALSE(seen["username"].get<std::string>().empty());
  CHECK_FALSE(seen["fqdn"].get<std::string>().empty());
  CHECK_FALSE(seen["exe_path"].get<std::string>().empty());
}

/// Two processes, the events of each in order, and equal stacks once.
void check_both_programs(const Json& seen, const Json& logged) {
  REQUIRE(seen["processes"].size() == 2);
  check_process(seen["processes"][0], "shop", "1.0", "test");
  check_process(seen["processes"][1], "till", "2.0", nullptr);
  const std::size_t count = logged.size();
  REQUIRE(seen["events"].size() == 2 * count);
  for (std::size_t i = 0; i < 2 * count; ++i) {
    check_event(seen["events"][i], logged[i % count]);
    CHECK(seen["events"][i]["process"] == seen["processes"][i / count]["id"]);
  }
  const Json& events = seen["events"];
  CHECK(events[count - 1]["stack"] == events[count - 2]["stack"]);
}

void python_reads_ours(const std::string& dsn) {
  Json logged = various_events();
  logged.insert(logged.begin(), event(Data{{"nothing", nullptr}, {"empty", ""}}));
  const JournalFolder journal;
  Settings queueing = settings_of(dsn, "till", "2.0");
  queueing["CODE_WAKE_STORE_ADAPTER"] = "code_wake_sql14_store,Sql14QueueStore";
  queueing["CODE_WAKE_QUEUE_JOURNAL"] = journal.path().string();
  run_ours(settings_of(dsn, "shop", "1.0", "test"), [&](Process& process) { log_all(process, logged); });
  run_ours(queueing, [&](Process& process) { log_all(process, logged); });
  const Json seen = seen_by_both(dsn);
  check_both_programs(seen, logged);
  const Json& fault = seen["events"][logged.size() - 1];
  CHECK(fault["data"][1] == Json({"exception.type", "std::invalid_argument"}));
  CHECK(fault["data"][2] == Json({"exception.message", "it failed, as told"}));
  if (fault["frames"][0][1] == 0) return;  // built without debug information
  CHECK(fault["frames"][0][0].get<std::string>().ends_with("older.cpp"));
  CHECK(fault["frames"][0][2] == "throw std::invalid_argument(\"it failed, as told\");");
}
CODEWAKE_ON_BOTH("Python reads what two C++ programs wrote", python_reads_ours)

void we_read_python_s(const std::string& dsn) {
  run_older(settings_of(dsn, "shop", "1.0", "test"), "log", various_events());
  run_older(settings_of(dsn, "till", "2.0"), "log", various_events());
  const Json seen = seen_by_both(dsn);
  check_both_programs(seen, various_events());
  const Json& frames = seen["events"].back()["frames"];
  REQUIRE(frames.size() == 5);  // innermost first
  CHECK(frames[0][2] == "raise ValueError(\"it failed, as told\")");
  CHECK(frames[1][2] == "fail(depth - 1)");
  CHECK(frames[4][2] == "fail(3)");
}
CODEWAKE_ON_BOTH("C++ reads what two Python programs wrote", we_read_python_s)

void same_data_same_digest(const std::string& dsn) {
  const Json events = {various_events()[0], various_events()[2], various_events()[3], various_events()[4]};
  run_older(settings_of(dsn, "shop", "1.0", "test"), "log", events);
  run_ours(settings_of(dsn, "shop", "1.0", "test"), [&](Process& process) { log_all(process, events); });
  const Json seen = seen_by_both(dsn);
  REQUIRE(seen["events"].size() == 2 * events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    CHECK(seen["events"][i]["data"] == seen["events"][i + events.size()]["data"]);
    CHECK(seen["events"][i]["digest"] == seen["events"][i + events.size()]["digest"]);
  }
  const Json &python = seen["processes"][0], &ours = seen["processes"][1];
  for (const char* shared : {"app", "vsn", "environment", "username"}) {
    CAPTURE(shared);
    CHECK(python[shared] == ours[shared]);
  }
}
CODEWAKE_ON_BOTH("the same app and data from both sides are one app and one digest", same_data_same_digest)

/// The tables are Python's at first.
void works_on_after_the_upgrade(const std::string& dsn) {
  const Settings settings = settings_of(dsn, "shop", "1.0", "test");
  run_older(settings, "log", various_events());
  const Json before = run_older(settings, "read");
  run_ours(settings, [&](Process& process) { log_all(process, various_events()); });
  run_older(settings, "log", various_events());
  const Json after = run_older(settings, "read");
  const std::size_t count = various_events().size();
  REQUIRE(before["events"].size() == count);
  REQUIRE(after["events"].size() == 3 * count);
  for (std::size_t i = 0; i < count; ++i) CHECK(after["events"][i] == before["events"][i]);
  const Json seen = seen_by_both(dsn);
  for (std::size_t i = 0; i < 3 * count; ++i) check_event(seen["events"][i], various_events()[i % count]);
  CHECK(seen["processes"].size() == 3);
  CHECK(seen["events"].back()["stack"] == seen["events"][count - 1]["stack"]);
}

TEST_CASE("a database that Python made is upgraded, and works for Python as before (SQLite)") {
  CODEWAKE_NEEDS_OLDER();
  const TemporaryFolder folder;
  works_on_after_the_upgrade(sqlite_in(folder));
}

TEST_CASE("a database with Python's tables is upgraded, and works for Python as before (PostgreSQL)") {
  CODEWAKE_NEEDS_OLDER();
  CODEWAKE_NEEDS_SERVER();
  const Database database;
  database.exec(read_file(test_data("reference/pycodewake-schema-postgres.sql")));
  works_on_after_the_upgrade(postgres_on(database));
}

void both_write_at_once(const std::string& dsn) {
  constexpr int kPythons = 2, kEach = 150;
  const JournalFolder journal;
  Config::Queue options;
  options.journal = journal.path().string();
  options.interval = std::chrono::milliseconds(10);
  Sql14Store(dsn).get_apps();  // Python programs that make the tables at once fail each other
  std::vector<pid_t> pythons;
  for (int i = 0; i < kPythons; ++i) {
    const std::string app = "python " + std::to_string(i);
    // With the identity there already: two Python programs that insert one at once lose one of the two.
    run_older(settings_of(dsn, app), "log", Json::array());
    pythons.push_back(start_older(settings_of(dsn, app), "flood", kEach));
  }
  std::atomic<bool> stopping{false};
  std::set<std::string> expected;
  {
    Sql14QueueStore store(options, dsn);
    store.insert_process({.app_name = "ours"}, false);
    std::vector<std::thread> threads;
    std::vector<int> logged(2);
    for (std::size_t thread = 0; thread < logged.size(); ++thread) {
      threads.emplace_back([&, thread] {
        while (!stopping) {
          const std::string value = std::to_string(thread) + "/" + std::to_string(logged[thread]++);
          const AttributeArgument attribute("number", value);
          store.insert_event({.data = std::span(&attribute, 1)});
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
      });
    }
    for (const pid_t python : pythons) CHECK(wait_for(python) == 0);
    stopping = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(store.shutdown(std::chrono::seconds(60)));
    for (std::size_t thread = 0; thread < logged.size(); ++thread) {
      REQUIRE(logged[thread] > 0);
      for (int i = 0; i < logged[thread]; ++i)
        expected.insert(std::to_string(thread) + "/" + std::to_string(i));
    }
  }
  for (int i = 0; i < kEach; ++i) expected.insert("python/" + std::to_string(i));
  std::set<std::string> values;
  const Json seen = seen_by_both(dsn);
  for (const Json& one : seen["events"]) values.insert(one["data"][0][1].get<std::string>());
  CHECK(values == expected);
  CHECK(seen["events"].size() == expected.size() + (kPythons - 1) * kEach);
  CHECK(seen["processes"].size() == 2 * kPythons + 1);
}
CODEWAKE_ON_BOTH("Python programs and C++ threads write at once, and all of it is there", both_write_at_once)

/// To the letter, but for where the database is.
constexpr const char* kOlderReadme = R"(store:
    adapter: "code_wake_sql14_store,Sql14Store"
    config: "sqlite:////tmp/some_file.sqlite"
environment:
    name: "production"
app:
    name: "my_app"
    vsn: "1.2.3"
stacktraces:
    include:
        from_exceptions: true
        for_non_exceptions: false
)";

void share_the_file(const std::string& dsn) {
  constexpr std::string_view kTheirs = "sqlite:////tmp/some_file.sqlite";
  std::string text = kOlderReadme;
  text.replace(text.find(kTheirs), kTheirs.size(), dsn);
  const TemporaryFolder folder;
  const Settings settings = {{"CODE_WAKE_CONFIG", folder.write("code_wake.conf", text).string()}};
  run_older(settings, "log", various_events());
  run_ours(settings, [&](Process& process) { log_all(process, various_events()); });
  const Json seen = seen_by_both(dsn);
  CHECK(run_older(settings, "read")["events"].size() == 2 * various_events().size());
  REQUIRE(seen["processes"].size() == 2);
  for (const Json& process : seen["processes"]) {
    check_process(process, "my_app", "1.2.3", "production");
    CHECK(process["app"] == seen["processes"][0]["app"]);
  }
  for (std::size_t i = 0; i < seen["events"].size(); ++i)
    check_event(seen["events"][i], various_events()[i % various_events().size()]);
}
CODEWAKE_ON_BOTH("the configuration file of the older README serves both", share_the_file)

}  // namespace
}  // namespace codewake::testing
