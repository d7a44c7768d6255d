#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/process.hpp"
#include "process/scripted_store.hpp"
#include "support/child.hpp"
#include "support/temporary_folder.hpp"

using codewake::Error;
using codewake::Process;
using codewake::StoreError;
using codewake::testing::ChildResult;
using codewake::testing::in_child;
using codewake::testing::MemoryStore;
using codewake::testing::ScriptedStore;
using codewake::testing::TemporaryFolder;

namespace {

// Prints what making the process fails with.
template <class Make>
void print_error(Make make) {
  try {
    make();
    fmt::print("no error\n");
  } catch (const Error& e) {
    fmt::print("{}\n", e.what());
  }
}

}  // namespace

TEST_CASE("Many threads that come first make one process with one record") {
  const ChildResult child = in_child([] {
    const auto store = std::make_shared<MemoryStore>();
    Process* made[8] = {};
    std::vector<std::thread> threads;
    for (Process*& process : made) {
      threads.emplace_back([&] {
        try {
          process = &Process::instance({.app_name = "racer", .store = store});
        } catch (const Error&) {  // too late with its options
          process = &Process::instance();
        }
        process->log({{"event", "first"}});
      });
    }
    for (std::thread& thread : threads) thread.join();
    bool all_same = true;
    for (Process* process : made) all_same = all_same && process == made[0];
    fmt::print("{} {} {}\n", all_same, store->get_processes({}).size(), store->get_events_by_data({}).size());
  });
  CHECK(child.exit_code == 0);
  CHECK(child.out == "true 1 8\n");
}

TEST_CASE("Options for a process that exists are an error") {
  const ChildResult child = in_child([] {
    Process::instance({.store = std::make_shared<MemoryStore>()});
    print_error([] { Process::instance({.app_name = "late"}); });
    print_error([] { Process::instance({}); });
  });
  CHECK(child.out ==
        "Process::instance: the process exists already, options come too late: give them to the first call\n"
        "no error\n");
}

TEST_CASE("Without a store the error names the files and variables that were looked at") {
  const TemporaryFolder folder;
  const auto file = folder.write("empty.conf", "");
  const ChildResult child = in_child([&] {
    setenv("CODE_WAKE_CONFIG", file.c_str(), 1);
    print_error([] { Process::instance(); });
    fmt::print("{}\n", Process::exists());
  });
  CHECK(child.exit_code == 0);
  CHECK(child.out.find(file.string()) != std::string::npos);
  CHECK(child.out.find("CODE_WAKE_STORE_ADAPTER") != std::string::npos);
  CHECK(child.out.find("no store is configured") != std::string::npos);
  CHECK(child.out.ends_with("\nfalse\n"));
}

TEST_CASE("An adapter that does not exist is an error that says where it was looked for") {
  const ChildResult child = in_child([] {
    setenv("CODE_WAKE_STORE_ADAPTER", "no_such_module,Store", 1);
    setenv("CODE_WAKE_PLUGIN_PATH", "/nowhere", 1);
    print_error([] { Process::instance(); });
  });
  CHECK(child.out.find("no_such_module: no such plugin, tried /nowhere/libno_such_module.so") !=
        std::string::npos);
}

TEST_CASE("A store that refuses the process fails the set-up, and the next call tries again") {
  const ChildResult child = in_child([] {
    const auto store = std::make_shared<ScriptedStore>();
    store->failure = StoreError::Kind::rejected;
    print_error([&] { Process::instance({.store = store}); });
    store->failure = std::nullopt;
    print_error([&] { Process::instance({.store = store}); });
    fmt::print("{}\n", store->get_processes({}).size());
  });
  CHECK(child.out == "rejected by the store: as told\nno error\n1\n");
}

TEST_CASE("A store that is away when the program starts ends nothing, and the next event tries again") {
  const ChildResult child = in_child([] {
    const auto store = std::make_shared<ScriptedStore>();
    store->failure = StoreError::Kind::unavailable;
    Process& cw = Process::instance({.store = store});
    cw.log({{"n", 1}});
    print_error([&] { cw.log({{"n", 2}}, {.sync = true}); });
    store->failure = std::nullopt;
    cw.log({{"n", 3}});
    const codewake::ProcessStats stats = cw.stats();
    fmt::print("{} {} {}\n", stats.logged, stats.stored, stats.lost_error);
    fmt::print("{} {}\n", store->get_processes({}).size(), store->get_events_by_data({}).size());
  });
  CHECK(child.out == "store unavailable: as told\n3 1 2\n1 1\n");
  CHECK(child.err ==
        "codewake: the process could not be recorded, and each of its events tries again: store unavailable: "
        "as told\n"
        "codewake: an event could not be recorded (more of this is counted in stats(), not said): store "
        "unavailable: as told\n");
}

TEST_CASE("A store whose constructor asks for the process gets an answer instead of a deadlock") {
  const ChildResult child = in_child([] {
    struct Curious : MemoryStore {
      codewake::BatchResult write(const codewake::Batch& batch) override {
        Process::instance();
        return MemoryStore::write(batch);
      }
    };
    print_error([] { Process::instance({.store = std::make_shared<Curious>()}); });
  });
  CHECK(child.out == "Process::instance: called while the process is being made\n");
}

TEST_CASE("At exit the store is shut down, within the time that is configured") {
  const ChildResult child = in_child([] {
    setenv("CODE_WAKE_QUEUE_EXIT_TIMEOUT", "3s", 1);
    static const auto store = std::make_shared<ScriptedStore>();
    std::atexit([] {  // registered before the process's own, so it runs after that
      fmt::print("{} {}s\n", store->shutdowns.load(),
                 std::chrono::duration_cast<std::chrono::seconds>(store->shutdown_timeout).count());
    });
    Process::instance({.store = store});
  });
  CHECK(child.exit_code == 0);
  CHECK(child.out == "1 3s\n");
}

TEST_CASE("The configured store is loaded from its shared object") {
  const ChildResult child = in_child([] {
    setenv("CODE_WAKE_STORE_ADAPTER", "code_wake_memory_store,MemoryStore", 1);
    setenv("CODE_WAKE_PLUGIN_PATH", getenv("CODEWAKE_TEST_PLUGINS"), 1);
    Process& process = Process::instance();
    const auto event = process.log({{"event", "order"}}, {.sync = true});
    fmt::print("{} {}\n", event->id, event->data[0].value.value());
  });
  CHECK(child.err == "");
  CHECK(child.out == "1 order\n");
}
