// Programs that record through the store: with a queue, forked, killed and recovered under another name.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "adapters/sqlite/support.hpp"
#include "codewake/process.hpp"
#include "codewake/recovery.hpp"
#include "codewake/sql14_store.hpp"
#include "codewake/sqlite_store.hpp"
#include "support/journal_folder.hpp"

namespace codewake::testing {
namespace {

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

Config::Queue options_with(const JournalFolder& journal) {
  Config::Queue options;
  options.journal = journal.path().string();
  return options;
}

TEST_CASE("a program and its child log through Sql14Store, and through Sql14QueueStore") {
  for (const bool queueing : {false, true}) {
    CAPTURE(queueing);
    const JournalFolder journal;
    const std::string dsn = dsn_of(journal.parent() / "events.sqlite");
    const pid_t program = start_child([&] {
      std::shared_ptr<Store> store;
      if (queueing) store = std::make_shared<Sql14QueueStore>(options_with(journal), dsn);
      if (!queueing) store = std::make_shared<Sql14Store>(dsn);
      auto& process = Process::instance({.app_name = "shop", .store = store});
      const auto stored = process.log({{"who", "parent"}}, {.inc_st = true, .sync = true});
      require(stored && !stored->frames.empty(), "the stack is stored");
      require(process.id() == stored->process_id, "the process is known");
      const pid_t child = start_child([&] {
        require(process.log({{"who", "child"}}, {.sync = true}).has_value(), "the child's event is stored");
        require(process.shutdown(std::chrono::seconds(20)), "the child stores all");
      });
      require(wait_for(child) == 0, "the child");
      require(process.log({{"who", "parent, later"}}, {.sync = true}).has_value(), "stored");
      require(process.shutdown(std::chrono::seconds(20)), "all is stored");
    });
    CHECK(wait_for(program) == 0);
    Sql14Store store(dsn);
    CHECK(store.get_processes({}).size() == 2);
    CHECK(store.get_events_by_data({}).size() == 3);
    CHECK(store.get_exceptions({}).size() == 1);
  }
}

TEST_CASE("what a killed program left behind Sql14QueueStore is recovered by SqliteStore, exactly once") {
  constexpr int kEvents = 500;
  const JournalFolder journal;
  const std::string dsn = dsn_of(journal.parent() / "events.sqlite");
  const pid_t program = start_child([&] {
    Sql14QueueStore store(options_with(journal), dsn);
    store.insert_process({.app_name = "shop"}, false);
    for (int i = 0; i < kEvents; ++i) {
      const AttributeArgument attribute("number", i);
      store.insert_event({.data = std::span(&attribute, 1)});
    }
    raise(SIGKILL);
  });
  CHECK(wait_for(program) == -SIGKILL);
  SqliteStore store(dsn);
  const auto runs = recover_journals(store, {.journal_folder = journal.path()});
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].state == JournalRun::State::recovered);
  Database database(journal.parent() / "events.sqlite");
  CHECK(database.number("SELECT count(*) FROM events") == kEvents);
  CHECK(database.number("SELECT count(DISTINCT val) FROM events_data") == kEvents);
}

TEST_CASE("a store that was shut down refuses what comes later") {
  const TemporaryFolder folder;
  Sql14Store store(dsn_of(folder / "events.sqlite"));
  CHECK(store.get_apps().empty());
  CHECK(store.shutdown(std::chrono::seconds(1)));
  store_error(StoreError::Kind::unavailable, [&] { store.get_apps(); });
}

}  // namespace
}  // namespace codewake::testing
