// Limits of the process: an error that says so, and never a signal or the end of the program.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "codewake/sqlite_store.hpp"
#include "support.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

using Rows = std::vector<std::vector<std::string>>;

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

void limit(__rlimit_resource resource, rlim_t most) {
  rlimit limits{};
  require(getrlimit(resource, &limits) == 0, "getrlimit");
  limits.rlim_cur = std::min(most, limits.rlim_max);
  require(setrlimit(resource, &limits) == 0, "setrlimit");
}

struct Outcome {
  int stored = 0;
  int in_doubt = 0;  ///< COMMIT failed, and then the database could not be asked
};

/// Each batch is stored, unavailable or in doubt.
Outcome write_what_can_be(Store& store, int batches, const std::vector<std::string>& values) {
  Outcome outcome;
  for (int i = 0; i < batches; ++i) {
    try {
      write_events(store, "app", "key", values);
      ++outcome.stored;
    } catch (const StoreError& e) {
      require(e.kind() != StoreError::Kind::rejected, e.what());
      if (e.kind() == StoreError::Kind::in_doubt) ++outcome.in_doubt;
    }
  }
  return outcome;
}

TEST_CASE("a limit of a file's size is unavailable on each path, and no signal ends the program") {
  const std::vector<std::string> small = {"small"}, large(2'000, std::string(1'000, 'v'));
  for (const rlim_t most :
       {rlim_t{0}, rlim_t{2} << 10, rlim_t{8} << 10, rlim_t{64} << 10, rlim_t{1} << 20, rlim_t{4} << 20}) {
    for (const bool is_made_before : {false, true}) {
      CAPTURE(most);
      CAPTURE(is_made_before);
      const TemporaryFolder folder;
      const fs::path file = folder / "events.sqlite";
      if (is_made_before) write_events(*std::make_unique<SqliteStore>(dsn_of(file)), "app", "key", small);
      const ChildResult result = in_child([&] {
        SqliteStore store({dsn_of(file), "synchronous=off"});
        if (is_made_before) require(store.get_apps().size() == 1, "before");
        limit(RLIMIT_FSIZE, most);
        const Outcome some = write_what_can_be(store, 20, small), more = write_what_can_be(store, 3, large);
        store.shutdown(std::chrono::seconds(5));
        // What was blocked for SQLite is as it was.
        sigset_t blocked, pending;
        pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
        sigpending(&pending);
        require(!sigismember(&blocked, SIGXFSZ) && !sigismember(&pending, SIGXFSZ), "the mask");
        limit(RLIMIT_FSIZE, RLIM_INFINITY);
        SqliteStore again(dsn_of(file));
        write_events(again, "app", "key", small);
        std::printf("%d %d", some.stored + more.stored + 1, some.in_doubt + more.in_doubt);
      });
      INFO(result.err);
      CHECK(result.signal == 0);
      REQUIRE(result.exit_code == 0);
      Database database(file);
      std::istringstream told(result.out);
      int stored = 0, in_doubt = 0;
      told >> stored >> in_doubt;
      stored += is_made_before ? 1 : 0;
      CHECK(database.number("SELECT count(*) FROM processes") >= stored);
      CHECK(database.number("SELECT count(*) FROM processes") <= stored + in_doubt);
      CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
    }
  }
}

TEST_CASE("where a process may make small files only, the database fills up, and not the WAL alone") {
  const TemporaryFolder folder;
  const ChildResult result = in_child([&] {
    limit(RLIMIT_FSIZE, rlim_t{1} << 20);
    SqliteStore store({dsn_of(folder / "events.sqlite"), "synchronous=off"});
    const Outcome outcome = write_what_can_be(store, 600, {std::string(1'000, 'v')});
    require(outcome.stored > 300, std::to_string(outcome.stored) + " stored");
  });
  INFO(result.err);
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}

TEST_CASE("a signal of the file's size that the program has pending or handles stays the program's") {
  const TemporaryFolder folder;
  const ChildResult result = in_child([&] {
    static volatile sig_atomic_t handled = 0;
    signal(SIGXFSZ, [](int) { handled = handled + 1; });
    SqliteStore store(dsn_of(folder / "events.sqlite"));
    store.insert_app("app", {});
    limit(RLIMIT_FSIZE, 4096);
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    require(write_what_can_be(store, 1, {"value"}).stored == 0, "stored");
    require(handled == 0, "the store's write reached the program");
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    require(write_what_can_be(store, 1, {"value"}).stored == 0, "stored");
    sigpending(&pending);
    require(!sigismember(&pending, SIGXFSZ), "the store's is left pending");
    raise(SIGXFSZ);
    require(write_what_can_be(store, 1, {"value"}).stored == 0, "stored");
    sigpending(&pending);
    require(sigismember(&pending, SIGXFSZ), "the program's is gone");
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    require(handled == 1, "the program's");
  });
  INFO(result.err);
  CHECK(result.signal == 0);
  CHECK(result.exit_code == 0);
}

TEST_CASE("a checkpoint beyond the limit of a file's size leaves all that was stored in the WAL") {
  const TemporaryFolder folder;
  const fs::path file = folder / "events.sqlite";
  const std::vector<std::string> values(100, std::string(10'000, 'v'));
  const ChildResult result = in_child([&] {
    SqliteStore store({dsn_of(file), "synchronous=off", "wal_limit=4MiB"});
    write_events(store, "app", "key", values);
    limit(RLIMIT_FSIZE, rlim_t{3} << 20);
    std::printf("%d", 1 + write_what_can_be(store, 10, values).stored);
  });
  INFO(result.err);
  CHECK(result.signal == 0);
  REQUIRE(result.exit_code == 0);
  Database database(file);
  CHECK(database.number("SELECT count(*) FROM processes") == std::stoi(result.out));
  CHECK(database.rows("PRAGMA integrity_check") == Rows{{"ok"}});
}

TEST_CASE("too few descriptors are unavailable, and the store goes on once there are some") {
  const TemporaryFolder folder;
  const std::vector<std::string> values(100, std::string(10'000, 'v'));
  for (rlim_t spare = 0; spare < 10; ++spare) {
    CAPTURE(spare);
    const fs::path file = folder / ("events" + std::to_string(spare) + ".sqlite");
    const ChildResult result = in_child([&] {
      SqliteStore store({dsn_of(file), "synchronous=off", "wal_limit=4MiB"});
      const int next = dup(0);
      close(next);
      limit(RLIMIT_NOFILE, static_cast<rlim_t>(next) + spare);
      const int stored = write_what_can_be(store, 10, values).stored;
      try {
        static_cast<void>(store.get_apps());
      } catch (const StoreError& e) {
        require(e.kind() == StoreError::Kind::unavailable, e.what());
      }
      limit(RLIMIT_NOFILE, 1000);
      require(write_what_can_be(store, 2, values).stored == 2, "it goes on");
      require(store.get_processes({}).size() == static_cast<std::size_t>(stored) + 2, "all that was stored");
    });
    INFO(result.err);
    CHECK(result.signal == 0);
    CHECK(result.exit_code == 0);
  }
}

TEST_CASE("too little memory is unavailable, and the store goes on once there is some") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  CODEWAKE_SKIP("a sanitizer's memory has no limit");
#endif
  const TemporaryFolder folder;
  const std::vector<std::string> small = {"small"}, large(200, std::string(100'000, 'v'));
  for (rlim_t spare = 0; spare <= rlim_t{16} << 20; spare += rlim_t{2} << 20) {
    CAPTURE(spare);
    const fs::path file = folder / ("events" + std::to_string(spare) + ".sqlite");
    const ChildResult result = in_child([&] {
      SqliteStore store({dsn_of(file), "synchronous=off", "wal_limit=4MiB"});
      write_events(store, "app", "key", small);
      long pages = 0;
      std::FILE* const statm = std::fopen("/proc/self/statm", "r");
      require(statm != nullptr && std::fscanf(statm, "%ld", &pages) == 1, "statm");
      std::fclose(statm);
      limit(RLIMIT_AS, static_cast<rlim_t>(pages) * 4096 + spare);
      int stored = 1;
      try {
        stored += write_what_can_be(store, 5, large).stored;
        stored += write_what_can_be(store, 5, small).stored;
      } catch (const std::bad_alloc&) {  // of write_events itself
      }
      limit(RLIMIT_AS, RLIM_INFINITY);
      write_events(store, "app", "key", small);
      require(store.get_processes({}).size() >= static_cast<std::size_t>(stored) + 1, "all that was stored");
    });
    INFO(result.err);
    CHECK(result.signal == 0);
    CHECK(result.exit_code == 0);
  }
}

}  // namespace
}  // namespace codewake::testing
