// The WAL is written back behind the writer: it stays bounded, and neither a fork nor a kill hurts the file.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kMegabyte = 1'000'000;
/// Half of wal_limit: the commit after that begins the WAL anew.
constexpr std::size_t kFullWal = std::size_t{256} << 20;

/// About so many megabytes.
std::vector<std::string> values_of(std::size_t megabytes) {
  return std::vector<std::string>(10 * megabytes, std::string(kMegabyte / 10, 'v'));
}

const std::vector<std::string>& large() {
  static const std::vector<std::string> values = values_of(10);
  return values;
}

std::size_t wal_size(const std::filesystem::path& file) {
  std::error_code ignored;
  const std::uintmax_t size = std::filesystem::file_size(file.string() + "-wal", ignored);
  return ignored ? 0 : size;
}

TEST_CASE("the WAL begins anew while the store goes on writing, with batches of 10 MB and of 100 MB") {
  for (const std::size_t megabytes : {10, 100}) {
    CAPTURE(megabytes);
    const TemporaryFolder folder;
    const auto file = folder / "events.sqlite";
    SqliteStore store({dsn_of(file), "synchronous=off"});
    const std::vector<std::string> values = values_of(megabytes);
    std::size_t events = 0;
    bool has_grown = true;
    while (has_grown) {
      const std::size_t before = wal_size(file);
      write_events(store, "app", "key", values);
      events += values.size();
      has_grown = wal_size(file) > before;
      // The commit that crosses the limit adds all of its batch, and the next one begins anew. So the WAL is
      // at most what lies below the limit and one batch; no commit adds to a WAL that is full.
      REQUIRE_FALSE((has_grown && before >= kFullWal));
      REQUIRE(wal_size(file) < kFullWal + megabytes * kMegabyte * 11 / 10);
    }
    Database database(file);
    CHECK(database.number("SELECT count(*) FROM events") == static_cast<std::int64_t>(events));
    CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
  }
}

TEST_CASE("a reader that keeps the WAL from beginning anew stops the writer at wal_limit, and not for good") {
  constexpr std::size_t kLimit = std::size_t{16} << 20;
  for (const std::size_t megabytes : {1, 10, 100}) {
    CAPTURE(megabytes);
    const TemporaryFolder folder;
    const auto file = folder / "events.sqlite";
    SqliteStore store({dsn_of(file), "synchronous=off", "wal_limit=16MiB"});
    const std::vector<std::string> values = values_of(megabytes);
    write_events(store, "app", "key", values);
    std::size_t events = values.size();
    Database reader(file);
    reader.exec("BEGIN; SELECT count(*) FROM events");
    std::string refused;
    for (int batch = 0; batch < 40 && refused.empty(); ++batch) {
      try {
        write_events(store, "app", "key", values);
        events += values.size();
      } catch (const StoreError& e) {
        CHECK(e.kind() == StoreError::Kind::unavailable);
        refused = e.what();
      }
    }
    CHECK(contains(refused, "its WAL has reached wal_limit (16 MiB)"));
    CHECK(wal_size(file) < kLimit + megabytes * kMegabyte * 11 / 10);
    reader.exec("COMMIT");
    write_events(store, "app", "key", values);
    CHECK(reader.number("SELECT count(*) FROM events") == static_cast<std::int64_t>(events + values.size()));
  }
}

TEST_CASE("processes that write at once keep the WAL below its limit and a batch of each") {
  constexpr int kProcesses = 3;
  constexpr std::size_t kLimit = std::size_t{32} << 20;
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  std::vector<pid_t> children;
  for (int child = 0; child < kProcesses; ++child) {
    children.push_back(start_child([&] {
      SqliteStore store({dsn_of(file), "synchronous=off", "wal_limit=32MiB"});
      for (int batch = 0; batch < 8; ++batch) {
        write_events(store, "app", "key", large());
        if (wal_size(file) > kLimit + kProcesses * 11 * kMegabyte) throw std::runtime_error("the WAL");
      }
    }));
  }
  for (const pid_t child : children) CHECK(wait_for(child) == 0);
}

TEST_CASE("parent and child of a fork in the middle of a checkpoint both go on") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  SqliteStore store(dsn_of(file));
  const std::vector<std::string> small = {"one", "two"};
  constexpr int kRounds = 2;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < 2; ++i) write_events(store, "parent", "key", large());
    store.at_fork(ForkPhase::before);
    const pid_t child = start_child([&] {
      store.at_fork(ForkPhase::after_in_child);
      write_events(store, "child", "key", small);
    });
    store.at_fork(ForkPhase::after_in_parent);
    write_events(store, "parent", "key", small);
    CHECK(wait_for(child) == 0);
  }
  CHECK(store.get_processes({}).size() == kRounds * 4);
  Database database(file);
  CHECK(database.number("SELECT count(*) FROM events") ==
        static_cast<std::int64_t>(kRounds * (2 * large().size() + 2 * small.size())));
  CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
}

TEST_CASE("a process that is killed in the middle of a checkpoint leaves a sound database") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  std::int64_t told = 0;
  for (int round = 0; round < 2; ++round) {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    const pid_t child = start_child([&] {
      SqliteStore store(dsn_of(file));
      while (true) {
        write_events(store, "app", "key", large());
        if (write(pipe_ends[1], "x", 1) != 1) return;
      }
    });
    close(pipe_ends[1]);
    char stored = 0;
    for (int i = 0; i < 3 + round && read(pipe_ends[0], &stored, 1) == 1; ++i) ++told;
    kill(child, SIGKILL);
    CHECK(wait_for(child) == -SIGKILL);
    while (read(pipe_ends[0], &stored, 1) == 1) ++told;
    close(pipe_ends[0]);
  }
  SqliteStore store(dsn_of(file));
  const auto processes = static_cast<std::int64_t>(store.get_processes({}).size());
  CHECK(processes >= told);
  CHECK(processes <= told + 2);
  Database database(file);
  CHECK(database.number("SELECT count(*) FROM events") ==
        processes * static_cast<std::int64_t>(large().size()));
  CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
}

TEST_CASE("a store that is closed while the WAL is written back leaves none behind") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  {
    SqliteStore store({dsn_of(file), "synchronous=off"});
    for (int i = 0; i < 3; ++i) write_events(store, "app", "key", large());
  }
  CHECK_FALSE(std::filesystem::exists(file.string() + "-wal"));
  CHECK(Database(file).number("SELECT count(*) FROM events") ==
        static_cast<std::int64_t>(3 * large().size()));
}

}  // namespace
}  // namespace codewake::testing
