// Programs that fork, with and without exec, while they log.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "adapters/sqlite/support.hpp"
#include "codewake/errors.hpp"
#include "codewake/process.hpp"
#include "codewake/recovery.hpp"
#include "codewake/sqlite_store.hpp"
#include "queue/scripted_queue_store.hpp"
#include "support/child.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using namespace std::chrono_literals;

void be_away(const Batch&) {
  throw StoreError(StoreError::Kind::unavailable, "away");
}

/// A program with three threads that log into a database, forks, and tells on stdout how many they logged.
class ForkingProgram {
 public:
  ForkingProgram() : file_(folder_ / "events.sqlite") {}

  ChildResult run(const std::function<void(Process&)>& body) const {
    return in_child([&] {
      alarm(120);  // a hang ends by this signal, and is seen
      Config::Queue options;
      options.journal = journal.path();
      options.interval = 1ms;
      options.when_full = WhenFull::block;
      Process& process =
          Process::instance({.store = std::make_shared<SqliteQueueStore>(options, dsn_of(file_))});
      std::atomic<bool> stop{false};
      std::atomic<int> logged{0};
      std::vector<std::thread> threads;
      for (int t = 0; t < 3; ++t) {
        threads.emplace_back([&] {
          for (; !stop; std::this_thread::sleep_for(500us)) {
            process.log({{"who", "parent"}});
            ++logged;
          }
        });
      }
      body(process);
      stop = true;
      for (std::thread& thread : threads) thread.join();
      fmt::print("{}\n", logged.load());
    });
  }

  std::string dsn() const { return dsn_of(file_); }

  const JournalFolder journal;

 private:
  TemporaryFolder folder_;
  std::filesystem::path file_;
};

TEST_CASE("Children that are forked while threads log have process records and journals of their own") {
  if (kSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  constexpr int kChildren = 10;
  const ForkingProgram program;
  const ChildResult result = program.run([&](Process& process) {
    std::vector<pid_t> children;
    for (int c = 0; c < kChildren; ++c) {
      const pid_t child = fork();
      if (child == 0) {
        alarm(100);
        for (int i = 0; i < 5; ++i) process.log({{"who", fmt::format("child {}", getpid())}});
        std::thread([&] { process.log({{"who", fmt::format("child {}", getpid())}}); }).join();
        std::_Exit(process.shutdown(kLong) && process.stats().logged == 6 ? 0 : 1);
      }
      children.push_back(child);
    }
    for (const pid_t child : children) CHECK(wait_for(child) == 0);
  });
  CHECK(result.exit_code == 0);
  CHECK(result.err == "");
  SqliteStore store(program.dsn());
  CHECK(store.get_processes({}).size() == kChildren + 1);
  std::map<std::int64_t, int> by_pid;
  int of_parent = 0;
  for (const EventRecord& event : store.get_events_by_data({})) {
    const std::string who = event.data.find("who")->value.value();
    const auto pid = store.get_process_by_id(event.process_id)->pid.value();
    if (who == "parent") {
      ++of_parent;
    } else {
      CHECK(who == fmt::format("child {}", pid));
      ++by_pid[pid];
    }
  }
  CHECK(fmt::format("{}\n", of_parent) == result.out);
  CHECK(by_pid.size() == kChildren);
  for (const auto& [pid, count] : by_pid) CHECK(count == 6);
  CHECK(program.journal.runs().empty());
}

TEST_CASE("Children that exec while threads log change nothing for the parent") {
  if (kSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const ForkingProgram program;
  const ChildResult result = program.run([](Process&) {
    for (int i = 0; i < 20; ++i) CHECK(WEXITSTATUS(std::system("exit 3")) == 3);  // it forks
    for (int i = 0; i < 20; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        execl("/bin/true", "true", nullptr);
        std::_Exit(1);
      }
      CHECK(wait_for(child) == 0);
    }
  });
  CHECK(result.exit_code == 0);
  CHECK(result.err == "");
  SqliteStore store(program.dsn());
  CHECK(store.get_processes({}).size() == 1);
  CHECK(fmt::format("{}\n", store.get_events_by_data({}).size()) == result.out);
  CHECK(program.journal.runs().empty());
}

TEST_CASE("A child that dies leaves its parent's journal locked, and its own to be recovered") {
  if (kSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  QueueFixture fixture;
  fixture.script->before_write(be_away);
  const auto store = fixture.make();
  introduce(*store);
  log(*store, "n", 1);
  const pid_t child = start_child([&] {
    log(*store, "n", 2);
    kill(getpid(), SIGKILL);
  });
  REQUIRE(wait_for(child) == -SIGKILL);
  ScriptedBackend backend(fixture.name());
  int alive = 0, recovered = 0;
  for (const JournalRun& run : recover_journals(backend, {.journal_folder = fixture.journal.path()})) {
    alive += run.state == JournalRun::State::alive;
    recovered += run.state == JournalRun::State::recovered;
  }
  CHECK(alive == 1);
  CHECK(recovered == 1);
  CHECK(fixture.values() == numbers(2, 1));
  CHECK(fixture.storage().get_processes({}).at(0).pid == child);
  fixture.script->be_well();
  REQUIRE(store->flush(kLong));
  CHECK(fixture.values() == std::vector<std::string>{"2", "1"});
  CHECK(store->stats().accepted == 1);
}

TEST_CASE("A child has nothing of what its parent had queued, counted or recorded") {
  if (kSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  QueueFixture fixture;
  fixture.script->before_write(be_away);
  const auto store = fixture.make();
  introduce(*store);
  log(*store, "n", 1);
  const pid_t child = start_child([&] {
    if (store->stats().accepted != 0 || store->last_process_id()) throw std::runtime_error("not empty");
    if (!store->flush(0ns)) throw std::runtime_error("something to flush");
    fixture.script->be_well();
    log(*store, "n", 2);
    if (!store->shutdown(kLong)) throw std::runtime_error("not stored");
    if (fixture.values() != numbers(2, 1)) throw std::runtime_error("not its own event alone");
  });
  CHECK(wait_for(child) == 0);
  CHECK(store->stats().queued == 1);
  fixture.script->be_well();
  CHECK(store->flush(kLong));
  CHECK(fixture.values() == numbers(1, 1));
}

/// A program that logs, has a child that goes on for long, and is killed. Returns the child's pid.
pid_t leave_a_child(const QueueFixture& fixture, bool exec) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t program = start_child([&] {
    fixture.script->before_write(be_away);
    const auto store = fixture.make();
    introduce(*store);
    log(*store, "n", 1);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      if (exec) execl("/bin/sleep", "sleep", "600", nullptr);
      while (true) pause();
    }
    if (write(ends[1], &child, sizeof child) != sizeof child) std::_Exit(1);
    kill(getpid(), SIGKILL);
  });
  pid_t child = 0;
  CHECK(read(ends[0], &child, sizeof child) == sizeof child);
  CHECK(wait_for(program) == -SIGKILL);
  close(ends[0]);
  close(ends[1]);
  return child;
}

TEST_CASE("A child that outlives its parent, with and without exec, does not keep the journal locked") {
  if (kSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  for (const bool exec : {false, true}) {
    QueueFixture fixture;
    const pid_t child = leave_a_child(fixture, exec);
    REQUIRE(child > 0);
    ScriptedBackend backend(fixture.name());
    const auto is_recovered = [&] {  // between fork() and its own end of it the child has the lock too
      const auto runs = recover_journals(backend, {.journal_folder = fixture.journal.path()});
      return runs.size() == 1 && runs[0].state == JournalRun::State::recovered;
    };
    CHECK(eventually(is_recovered));
    CHECK(kill(child, 0) == 0);
    kill(child, SIGKILL);
    CHECK(fixture.values() == numbers(1, 1));
  }
}

TEST_CASE("A fork in a fork logs for itself") {
  if (kSanitized) CODEWAKE_SKIP(kNoForkBesideThreads);
  const ForkingProgram program;
  const ChildResult result = program.run([](Process& process) {
    const pid_t child = fork();
    if (child == 0) {
      process.log({{"who", "child"}});
      const pid_t grandchild = fork();
      if (grandchild == 0) {
        process.log({{"who", "grandchild"}});
        std::_Exit(process.shutdown(kLong) ? 0 : 1);
      }
      process.log({{"who", "child"}});
      std::_Exit(wait_for(grandchild) == 0 && process.shutdown(kLong) ? 0 : 1);
    }
    CHECK(wait_for(child) == 0);
  });
  CHECK(result.exit_code == 0);
  SqliteStore store(program.dsn());
  CHECK(store.get_processes({}).size() == 3);
  CHECK(store.get_events_by_data({{"who", "child"}}).size() == 2);
  CHECK(store.get_events_by_data({{"who", "grandchild"}}).size() == 1);
  CHECK(program.journal.runs().empty());
}

}  // namespace
}  // namespace codewake::testing
