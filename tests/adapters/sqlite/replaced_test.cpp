// Files that are deleted, moved or replaced while a store has them open: what counts as stored is in the
// database at the path.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

using Rows = std::vector<std::vector<std::string>>;
using std::chrono::seconds;

void remove_files(const fs::path& file, std::initializer_list<const char*> suffixes) {
  for (const char* suffix : suffixes) fs::remove(file.string() + suffix);
}

void move_files(const fs::path& file, const fs::path& to, std::initializer_list<const char*> suffixes) {
  for (const char* suffix : suffixes) {
    if (fs::exists(file.string() + suffix)) fs::rename(file.string() + suffix, to.string() + suffix);
  }
}

void put(const fs::path& file, std::string_view content) {
  std::ofstream(file, std::ios::binary) << content;
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

/// Over the file's content, as cp does.
void write_over(const fs::path& from, const fs::path& to) {
  fs::copy_file(from, to, fs::copy_options::overwrite_existing);
}

/// Events of this value as another program finds them, in a sound database.
std::int64_t count(const fs::path& file, const std::string& value) {
  Database database(file);
  CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
  return database.number("SELECT count(*) FROM events_data WHERE val = '" + value + "'");
}

const ProcessInfo& info() {
  static const ProcessInfo process{.app_name = "app", .pid = 4711};
  return process;
}

/// An event of one attribute, as a queue writes it: the batch reaches `position` of lane 1.
BatchResult write_at(Store& store, Id process, const std::string& value, std::uint64_t position,
                     std::uint64_t noted) {
  const AttributeView attribute{"key", value};
  const BatchProcess processes[] = {{.id = process, .info = process == 0 ? &info() : nullptr}};
  const BatchEvent event{.when = info().run_ts, .has_data = true, .data = {&attribute, 1}};
  const JournalPosition positions[] = {
      {.segment = "run/1", .position = position, .process = 0, .noted = noted}};
  return store.write({.processes = processes, .events = {&event, 1}, .positions = positions});
}

void log(Store& store, std::string_view value) {
  const AttributeArgument attribute("key", value);
  store.insert_event({.data = std::span(&attribute, 1)});
}

struct Way {
  const char* name;
  std::function<void(const fs::path& file)> replace;
};

/// Each leaves another database, or none, at the path.
const std::vector<Way>& ways() {
  static const std::vector<Way> all = {
      {"deleted with its WAL",
       [](const fs::path& file) {
         remove_files(file, {"", "-wal", "-shm"});
       }},
      {"deleted alone", [](const fs::path& file) { remove_files(file, {""}); }},
      {"moved with its WAL",
       [](const fs::path& file) {
         move_files(file, file.string() + ".old", {"", "-wal", "-shm"});
       }},
      {"moved alone", [](const fs::path& file) { move_files(file, file.string() + ".old", {""}); }},
      {"its folder deleted", [](const fs::path& file) { fs::remove_all(file.parent_path()); }},
      {"its folder moved",
       [](const fs::path& file) { fs::rename(file.parent_path(), file.parent_path().string() + ".old"); }},
      {"replaced by an empty file",
       [](const fs::path& file) {
         put(file.string() + ".new", "");
         fs::rename(file.string() + ".new", file);
       }},
      {"replaced by another database",
       [](const fs::path& file) {
         SqliteStore(dsn_of(file.string() + ".new")).insert_app("of the other", {});
         fs::rename(file.string() + ".new", file);
       }},
  };
  return all;
}

TEST_CASE("a store without a queue goes on in the database at the path, whatever became of the one before") {
  for (const Way& way : ways()) {
    for (const bool reads : {false, true}) {
      CAPTURE(way.name);
      CAPTURE(reads);
      const TemporaryFolder folder;
      const fs::path file = folder / "data" / "events.sqlite";
      SqliteStore store(dsn_of(file));
      store.insert_process(info());
      log(store, "before");
      if (reads) CHECK(store.get_events_by_data({{"key", "before"}}).size() == 1);
      way.replace(file);
      for (int i = 0; i < 10; ++i) log(store, "after");
      CHECK(store.get_events_by_data({{"key", "after"}}).size() == 10);
      CHECK(count(file, "after") == 10);
      const auto processes = store.get_processes({});
      REQUIRE(processes.size() == 1);
      CHECK(processes[0].pid == 4711);
      store.shutdown(seconds(5));
      CHECK(count(file, "after") == 10);
    }
  }
}

TEST_CASE("a database that is moved alone has what was stored in it") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite", moved = folder / "moved.sqlite";
  SqliteStore store(dsn_of(file));
  store.insert_process(info());
  log(store, "before");
  fs::rename(file, moved);
  log(store, "after");
  CHECK(count(moved, "before") == 1);
  CHECK(count(file, "before") == 0);
  CHECK(count(file, "after") == 1);
}

TEST_CASE("another database that is put in place does not get the WAL of the one before") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite", other = folder / "other.sqlite";
  {
    SqliteStore store(dsn_of(other));
    store.insert_process(info());
    for (int i = 0; i < 50; ++i) log(store, "of the other");
  }
  SqliteStore store(dsn_of(file));
  store.insert_process(info());
  for (int i = 0; i < 500; ++i) log(store, "before");
  fs::rename(other, file);
  log(store, "after");
  CHECK(count(file, "of the other") == 50);
  CHECK(count(file, "before") == 0);
  CHECK(count(file, "after") == 1);
}

TEST_CASE("a batch of a queue is in doubt where the database is another one, until the queue has asked") {
  for (const Way& way : ways()) {
    CAPTURE(way.name);
    const TemporaryFolder folder;
    const fs::path file = folder / "data" / "events.sqlite";
    SqliteStore store(dsn_of(file));
    const Id process = write_at(store, 0, "before", 100, 0).process_ids.at(0);
    way.replace(file);
    store_error(StoreError::Kind::in_doubt, [&] { write_at(store, process, "after", 200, 100); });
    CHECK(store.get_positions("run/").empty());
    // A lane that has no position there yet: its process is recorded again, and the event is not rejected.
    store_error(StoreError::Kind::in_doubt, [&] { write_at(store, process, "after", 200, 0); });
    write_at(store, 0, "after", 200, 0);
    CHECK(count(file, "after") == 1);
  }
}

/// Replaces the files at the moment that SQLite has prepared a transaction for COMMIT.
class AtCommit {
 public:
  explicit AtCommit(std::function<void()> what) {
    work() = std::move(what);
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(&watch));
  }
  AtCommit(const AtCommit&) = delete;
  AtCommit& operator=(const AtCommit&) = delete;
  ~AtCommit() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&watch)); }

 private:
  static std::function<void()>& work() {
    static std::function<void()> what;
    return what;
  }
  static int watch(sqlite3* connection, char**, const sqlite3_api_routines*) {
    sqlite3_commit_hook(connection, &commits, nullptr);
    return 0;
  }
  static int commits(void*) {
    if (const auto what = std::exchange(work(), {})) what();
    return 0;
  }
};

TEST_CASE(
    "a batch whose database is replaced right before COMMIT is not stored, and is so when it is sent again") {
  for (const Way& way : ways()) {
    CAPTURE(way.name);
    const TemporaryFolder folder;
    const fs::path file = folder / "data" / "events.sqlite";
    {
      SqliteStore first(dsn_of(file));
      write_at(first, 0, "before", 100, 0);
    }
    bool is_armed = false;
    const AtCommit at_commit([&] {
      is_armed = true;
      way.replace(file);
    });
    SqliteStore store(dsn_of(file));
    const std::string message =
        store_error(StoreError::Kind::unavailable, [&] { write_at(store, 0, "after", 200, 100); });
    CHECK(is_armed);
    CHECK(contains(message, "was deleted, moved or replaced while it was written to"));
    write_at(store, 0, "after", 200, 0);
    CHECK(count(file, "after") == 1);
  }
}

TEST_CASE("a WAL that is deleted or replaced alone loses nothing") {
  for (const char* suffix : {"-wal", "-shm"}) {
    for (const bool is_put_in_place : {false, true}) {
      for (const int half : {0, 50}) {
        CAPTURE(suffix);
        CAPTURE(is_put_in_place);
        CAPTURE(half);
        const TemporaryFolder folder;
        const fs::path file = folder / "events.sqlite";
        const auto replace = [&] {
          remove_files(file, {suffix});
          if (is_put_in_place) put(file.string() + suffix, "");
        };
        SqliteStore store(dsn_of(file));
        store.insert_process(info());
        for (int i = 0; i < 100; ++i) log(store, "before");
        for (int i = 0; i < 100; ++i) {
          if (i == half) replace();
          log(store, "after");
        }
        CHECK(count(file, "before") == 100);
        CHECK(count(file, "after") == 100);
        CHECK(store.get_events_by_data({{"key", "after"}}).size() == 100);
        store.shutdown(seconds(5));
        CHECK(count(file, "before") == 100);
        CHECK(count(file, "after") == 100);
      }
    }
  }
}

TEST_CASE("what only a deleted WAL holds is written back when the store is closed, and before a fork") {
  for (const bool forks : {false, true}) {
    CAPTURE(forks);
    const TemporaryFolder folder;
    const fs::path file = folder / "events.sqlite";
    SqliteStore store(dsn_of(file));
    store.insert_process(info());
    log(store, "before");
    remove_files(file, {"-wal"});
    if (forks) {
      store.at_fork(ForkPhase::before);
      store.at_fork(ForkPhase::after_in_parent);
    } else {
      store.shutdown(seconds(5));
    }
    CHECK(count(file, "before") == 1);
  }
}

/// So much that the writer itself has written it back into the database: what is written over that is not the
/// newest state.
constexpr const char* kSmallWal = "wal_limit=1MiB";
void write_much(Store& store, const std::string& key) {
  write_events(store, "app", key, std::vector<std::string>(10, std::string(100'000, 'v')));
}

TEST_CASE("a database that is restored from an older copy is gone on with") {
  for (const bool in_place : {false, true}) {
    CAPTURE(in_place);
    const TemporaryFolder folder;
    const fs::path file = folder / "events.sqlite", copy = folder / "copy.sqlite";
    {
      SqliteStore store(dsn_of(file));
      write_at(store, 0, "of the copy", 100, 0);
    }
    fs::copy_file(file, copy);
    SqliteStore store({dsn_of(file), kSmallWal});
    const Id process = store.get_positions("run/").at(0).process_id;
    write_at(store, process, "after the copy", 200, 100);
    write_much(store, "after the copy");
    in_place ? write_over(copy, file) : fs::rename(copy, file);
    store_error(StoreError::Kind::in_doubt, [&] { write_at(store, process, "restored", 300, 200); });
    CHECK(store.get_positions("run/").at(0).position == 100);
    write_at(store, process, "restored", 300, 100);
    CHECK(count(file, "of the copy") == 1);
    CHECK(count(file, "after the copy") == 0);
    CHECK(count(file, "restored") == 1);
  }
}

TEST_CASE("a database that is emptied in place is made anew") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  SqliteStore store({dsn_of(file), kSmallWal});
  write_events(store, "app", "key", numbered("before", 10));
  write_much(store, "before");
  CHECK(store.get_apps().size() == 1);
  fs::resize_file(file, 0);
  write_events(store, "app", "key", std::vector<std::string>{"after"});
  CHECK(count(file, "after") == 1);
  CHECK(count(file, "before1") == 0);
  CHECK(store.get_events_by_data({{"key", "after"}}).size() == 1);
}

TEST_CASE("a reader notices that the database is another one") {
  for (const Way& way : ways()) {
    CAPTURE(way.name);
    const TemporaryFolder folder;
    const fs::path file = folder / "data" / "events.sqlite";
    SqliteStore writing(dsn_of(file)), reading(dsn_of(file));
    write_events(writing, "before", "key", std::vector<std::string>{"before"});
    CHECK(reading.get_apps().size() == 1);
    way.replace(file);
    const std::vector<AppRecord> apps = reading.get_apps();
    CHECK((apps.empty() || apps[0].name == "of the other"));
  }
}

TEST_CASE("a database of another kind at the path is refused, and the one before is left in order") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite", moved = folder / "moved.sqlite";
  SqliteStore store(dsn_of(file));
  store.insert_process(info());
  log(store, "before");
  fs::rename(file, moved);
  put(file, "Dear Sir or Madam, this is a letter.");
  for (int i = 0; i < 2; ++i) {
    CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { log(store, "after"); }),
                   "file is not a database"));
  }
  fs::remove(file);
  fs::create_symlink(moved, file);
  CHECK(contains(store_error(StoreError::Kind::unavailable, [&] { log(store, "after"); }),
                 "is a symbolic link"));
  fs::remove(file);
  fs::rename(moved, file);
  log(store, "after");
  CHECK(count(file, "before") == 1);
  CHECK(count(file, "after") == 1);
  CHECK(store.get_processes({}).size() == 1);
}

TEST_CASE("nothing is written into a new WAL while the one before holds what the database lacks") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  Id process = 0;
  {
    SqliteStore store(dsn_of(file));
    process = store.insert_process(info())->id;
    log(store, "before");
  }
  SqliteStore first(dsn_of(file));
  first.insert_app("in the WAL that is deleted", {});
  remove_files(file, {"-wal"});
  SqliteStore second(dsn_of(file));
  const AttributeView attribute{"key", "after"};
  const BatchProcess processes[] = {{.id = process}};
  const BatchEvent event{.when = info().run_ts, .has_data = true, .data = {&attribute, 1}};
  const auto write = [&] { second.write({.processes = processes, .events = {&event, 1}}); };
  CHECK(contains(store_error(StoreError::Kind::unavailable, write), "its WAL was deleted"));
  CHECK(first.get_apps().size() == 2);  // looks, and writes it back
  write();
  CHECK(count(file, "before") == 1);
  CHECK(count(file, "after") == 1);
  CHECK(second.get_apps().size() == 2);
}

TEST_CASE(
    "a WAL that was deleted under a process that was killed then keeps no other from writing for ever") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  {
    SqliteStore store(dsn_of(file));
    store.insert_process(info());
    log(store, "before");
  }
  const pid_t child = start_child([&] {
    SqliteStore store(dsn_of(file));
    store.insert_app("in the WAL that is deleted", {});
    put(folder / "written", "");
    std::this_thread::sleep_for(seconds(60));
  });
  for (int i = 0; i < 30'000 && !fs::exists(folder / "written"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  remove_files(file, {"-wal"});
  SqliteStore reading(dsn_of(file)), writing(dsn_of(file));
  int written = 0;
  const auto use_both = [&] {
    try {
      reading.get_apps();
    } catch (const StoreError&) {
    }
    try {
      write_events(writing, "app", "key", std::vector<std::string>{"after"});
      ++written;
    } catch (const StoreError&) {
    }
  };
  use_both();
  CHECK(written == 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  for (int i = 0; i < 3; ++i) use_both();
  CHECK(written > 0);
  CHECK(count(file, "before") == 1);
  CHECK(count(file, "after") == written);
}

TEST_CASE("processes that share a WAL which is deleted again and again lose nothing that counted as stored") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  constexpr int kProcesses = 3, kBatches = 100;
  std::vector<pid_t> children;
  for (int child = 0; child < kProcesses; ++child) {
    children.push_back(start_child([&, child] {
      SqliteStore store({dsn_of(file), "busy_timeout=10s"});
      int failed = 0;
      for (int stored = 0; stored < kBatches;) {
        try {
          write_events(store, "app", "key", std::vector<std::string>{"one"});
          ++stored;
        } catch (const StoreError& e) {
          if (++failed > 100 * kBatches) throw;
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      }
      put(folder / std::to_string(child), std::to_string(failed));
      // A WAL that no process has open is lost with its name, so no child ends before the last one is
      // deleted. Until then it reads, as who is idle would keep one that was deleted, and the others waiting.
      for (int reads = 0; !fs::exists(folder / "end") && reads < 100'000; ++reads) {
        try {
          store.get_apps();
        } catch (const StoreError&) {
          ++failed;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      store.shutdown(seconds(5));
    }));
  }
  const auto have_stored = [&] {
    int count = 0;
    for (int child = 0; child < kProcesses; ++child) count += fs::exists(folder / std::to_string(child));
    return count == kProcesses;
  };
  for (int i = 0; i < 3000 && !have_stored(); ++i) {
    std::error_code ignored;
    fs::remove(file.string() + "-wal", ignored);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  put(folder / "end", "");
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
  int failed = 0;
  for (int child = 0; child < kProcesses; ++child)
    failed += std::stoi(read_file(folder / std::to_string(child)));
  CAPTURE(failed);
  const std::int64_t found = count(file, "one");
  CHECK(found >= kProcesses * kBatches);
  CHECK(found <= kProcesses * kBatches + failed);
}

}  // namespace
}  // namespace codewake::testing
