// The WAL is written back behind the writer: it stays bounded, and neither a fork nor a kill hurts the file.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

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
/// The header of the WAL, and 64,000 pages with theirs: the commit after that begins the WAL anew.
constexpr std::size_t kFullWal = 32 + std::size_t{64'000} * (4096 + 24);

/// About 10 MB.
const std::vector<std::string>& large() {
  static const std::vector<std::string> values(100, std::string(kMegabyte / 10, 'v'));
  return values;
}

std::size_t wal_size(const std::filesystem::path& file) {
  std::error_code ignored;
  const std::uintmax_t size = std::filesystem::file_size(file.string() + "-wal", ignored);
  return ignored ? 0 : size;
}

TEST_CASE("the WAL begins anew while the store goes on writing") {
  const TemporaryFolder folder;
  const auto file = folder / "events.sqlite";
  SqliteStore store({dsn_of(file), "synchronous=off"});
  std::size_t events = 0;
  bool has_grown = true;
  while (has_grown) {
    const std::size_t before = wal_size(file);
    write_events(store, "app", "key", large());
    events += large().size();
    has_grown = wal_size(file) > before;
    // The commit that crosses the limit adds all of its batch, and the next one begins anew. So the WAL is at
    // most what lies below the limit and one batch; no commit adds to a WAL that is full.
    REQUIRE_FALSE((has_grown && before >= kFullWal));
  }
  Database database(file);
  CHECK(database.number("SELECT count(*) FROM events") == static_cast<std::int64_t>(events));
  CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
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
