#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/process.hpp"
#include "codewake/stacktrace.hpp"
#include "process/scripted_store.hpp"
#include "process/show.hpp"
#include "support/child.hpp"

using codewake::Attributes;
using codewake::EventRecord;
using codewake::FilteredEvent;
using codewake::Process;
using codewake::StoreError;
using codewake::testing::ChildResult;
using codewake::testing::in_child;
using codewake::testing::ScriptedStore;
using codewake::testing::show;
using codewake::testing::show_functions;
using namespace std::chrono_literals;

namespace {

// Runs `body(process, store)` in a child, with a process that records into memory.
template <class Body>
ChildResult with_process(Body body, codewake::ProcessOptions options = {}) {
  return in_child([&] {
    const auto store = std::make_shared<ScriptedStore>();
    options.store = store;
    body(Process::instance(options), *store);
  });
}

[[gnu::noinline]] void fail_deep_inside(int depth) {
  if (depth == 0) throw std::out_of_range("shelf 9");
  fail_deep_inside(depth - 1);
  asm volatile("");  // keeps the call from becoming a jump
}

[[gnu::noinline]] codewake::Stacktrace capture_elsewhere() {
  codewake::Stacktrace stack = codewake::Stacktrace::current();
  asm volatile("" : : "r"(&stack));
  return stack;
}

[[gnu::noinline]] void take_order() {
  try {
    fail_deep_inside(2);
  } catch (...) {
    std::throw_with_nested(std::runtime_error("cannot take the order"));
  }
}

}  // namespace

TEST_CASE("log takes nothing, a list, a map, and an Attributes") {
  const ChildResult child = with_process([](Process& process, ScriptedStore& store) {
    process.log();
    process.log({});
    process.log({{"event", "order"}, {"amount", 12.5}, {"vip", true}, {"coupon", nullptr}, {"n", 3}});
    process.log(std::map<std::string, std::string>{{"b", "2"}, {"a", "1"}});
    process.log(Attributes{{"k", "1"}, {"k", "2"}});
    for (const EventRecord& event : store.get_events_by_data({})) {
      fmt::print("{} [{}]\n", event.digest.has_value(), show(event.data));
    }
  });
  CHECK(child.err == "");
  CHECK(child.out ==
        "false []\n"
        "true []\n"
        "true [event=order amount=12.5 vip=true coupon n=3]\n"
        "true [a=1 b=2]\n"
        "true [k=1 k=2]\n");
}

TEST_CASE("log returns the record where it is asked to wait, and nothing else") {
  const ChildResult child = with_process([](Process& process, ScriptedStore&) {
    fmt::print("{}\n", process.log({{"a", 1}}).has_value());
    const auto record = process.log({{"a", 2}}, {.when_ts = codewake::Time(123456ms), .sync = true});
    fmt::print("{} {} {} {}\n", record->id, record->process_id == process.id(), show(record->data),
               codewake::format_time(record->when));
  });
  CHECK(child.out == "false\n2 true a=2 1970-01-01T00:02:03.456000Z\n");
}

TEST_CASE("An exception is recorded with type, message, causes and the stack of its throw") {
  const ChildResult child = with_process([](Process& process, ScriptedStore&) {
    try {
      take_order();
    } catch (const std::exception& e) {
      const auto record = process.log({{"event", "fault"}}, e, {.sync = true});
      fmt::print("{}\n{}", show(record->data), show_functions(*record));
    }
  });
  CHECK(child.err == "");
  CHECK(child.out.starts_with(
      "event=fault exception.type=std::runtime_error "
      "exception.message=cannot take the order exception.cause.1.type=std::out_of_range "
      "exception.cause.1.message=shelf 9\n"));
  CHECK(child.out.find("take_order") != std::string::npos);
  CHECK(child.out.find("codewake::Process::") == std::string::npos);
}

TEST_CASE("The innermost frame of a recorded exception is the function that threw it") {
  const ChildResult child = with_process([](Process& process, ScriptedStore&) {
    try {
      fail_deep_inside(2);
    } catch (...) {
      const auto record = process.log({}, std::current_exception(), {.sync = true});
      fmt::print("{}", show_functions(*record));
    }
  });
  CHECK(child.out.starts_with(
      "(anonymous namespace)::fail_deep_inside\n(anonymous namespace)::fail_deep_inside\n"));
}

TEST_CASE("inc_st decides about the stack trace of one event, st_len about its length") {
  const ChildResult child = with_process([](Process& process, ScriptedStore&) {
    const auto frames = [&](const codewake::LogOptions& options) {
      try {
        fail_deep_inside(2);
      } catch (const std::exception& e) {
        const auto record = process.log({}, e, options);
        fmt::print("{} {} {}\n", record->stacktrace_id.has_value(), record->frames.size() > 3,
                   record->data.size());
      }
    };
    frames({.sync = true});
    frames({.inc_st = false, .sync = true});
    frames({.st_len = 2, .sync = true});
    frames({.st_len = 0, .sync = true});
    const auto plain = process.log({{"a", 1}}, {.inc_st = true, .st_len = 1, .sync = true});
    fmt::print("{}\n", plain->frames.size());
    fmt::print("{}\n", process.log({{"a", 1}}, {.sync = true})->stacktrace_id.has_value());
  });
  CHECK(child.out == "true true 2\nfalse false 2\ntrue false 2\nfalse false 2\n1\nfalse\n");
}

TEST_CASE(
    "A stack that was captured before is recorded instead of the event's own, also where none is "
    "configured") {
  const ChildResult child = with_process(
      [](Process& process, ScriptedStore&) {
        const codewake::Stacktrace captured = capture_elsewhere();
        const auto show_top = [](const std::optional<EventRecord>& record) {
          fmt::print("{} {}\n", record->frames.size() == 2,
                     record->frames.empty() ? "none" : record->frames.front().function);
        };
        show_top(process.log({{"a", 1}}, {.st_len = 2, .sync = true, .stacktrace = &captured}));
        try {
          fail_deep_inside(2);
        } catch (const std::exception& e) {
          show_top(process.log({}, e, {.st_len = 2, .sync = true, .stacktrace = &captured}));
          show_top(process.log({}, std::current_exception(),
                               {.st_len = 2, .sync = true, .stacktrace = &captured}));
          show_top(process.log({}, e, {.inc_st = false, .sync = true, .stacktrace = &captured}));
        }
        show_top(process.log({}, {.st_len = 0, .sync = true, .stacktrace = &captured}));
        fmt::print("{}\n", captured.addresses().size() > 2);
      },
      {.st_for_non_exceptions = false, .st_from_exceptions = false});
  CHECK(child.err == "");
  CHECK(child.out ==
        "true (anonymous namespace)::capture_elsewhere()\n"
        "true (anonymous namespace)::capture_elsewhere()\n"
        "true (anonymous namespace)::capture_elsewhere()\n"
        "false none\nfalse none\ntrue\n");
}

TEST_CASE("The stack of an ordinary event begins in the function that logs, never in the library") {
  const ChildResult child = with_process(
      [](Process& process, ScriptedStore&) {
        const auto record = process.log({{"event", "order"}}, {.sync = true});
        const unsigned line = __LINE__ - 1;
        const codewake::Frame& top = record->frames.at(0);
        fmt::print("{} {}\n", top.filename.ends_with("log_test.cpp"), top.lineno == line);
        for (const codewake::Frame& frame : record->frames) {
          if (frame.module.find("libcodewake") != std::string::npos)
            fmt::print("own frame {}\n", frame.function);
        }
      },
      {.st_for_non_exceptions = true});
  CHECK(child.out == "true true\n");
}

TEST_CASE("With stacks of exceptions turned off the attributes stay") {
  const ChildResult child = with_process(
      [](Process& process, ScriptedStore&) {
        try {
          fail_deep_inside(0);
        } catch (const std::exception& e) {
          const auto record = process.log({}, e, {.sync = true});
          fmt::print("{} {}\n", show(record->data), record->stacktrace_id.has_value());
        }
      },
      {.st_from_exceptions = false});
  CHECK(child.out == "exception.type=std::out_of_range exception.message=shelf 9 false\n");
}

TEST_CASE("A filter may change an event, drop it, or fail") {
  const ChildResult child = with_process([](Process& process, ScriptedStore& store) {
    process.set_filter([](FilteredEvent& event) {
      if (event.data.find("bad") != nullptr) throw std::runtime_error("filter");
      event.data.set("card", "***");
      return event.data.find("drop") == nullptr;
    });
    process.log({{"card", "4111"}});
    process.log({{"drop", 1}});
    process.log({{"bad", 1}});
    process.log();
    process.set_filter(nullptr);
    process.log({{"card", "4111"}});
    for (const EventRecord& event : store.get_events_by_data({})) fmt::print("[{}]", show(event.data));
    const codewake::ProcessStats stats = process.stats();
    fmt::print("\n{} {} {} {}\n", stats.logged, stats.stored, stats.filtered, stats.lost_filter_error);
  });
  CHECK(child.err == "");
  CHECK(child.out == "[card=***][card=***][card=4111]\n5 3 1 1\n");
}

TEST_CASE("A store that fails never reaches the program, but for those who wait") {
  const ChildResult child = with_process([](Process& process, ScriptedStore& store) {
    store.failure = StoreError::Kind::unavailable;
    process.log({{"a", 1}});
    process.log({{"a", 2}});
    store.failure = StoreError::Kind::rejected;
    process.log({{"a", 3}});
    try {
      process.log({{"a", 4}}, {.sync = true});
    } catch (const StoreError& e) {
      fmt::print("{}\n", e.what());
    }
    store.failure = std::nullopt;
    store.throws_nonsense = true;
    process.log({{"a", 5}});
    store.throws_nonsense = false;
    process.log({{"a", 6}});
    const codewake::ProcessStats stats = process.stats();
    fmt::print("{} {} {} {}\n", stats.logged, stats.stored, stats.rejected, stats.lost_error);
  });
  CHECK(child.exit_code == 0);
  CHECK(child.out == "rejected by the store: as told\n6 1 2 3\n");
  CHECK(child.err ==
        "codewake: an event could not be recorded (more of this is counted in stats(), not said): "
        "store unavailable: as told\n");
}

TEST_CASE("What comes after the shutdown is counted") {
  const ChildResult child = with_process([](Process& process, ScriptedStore& store) {
    process.log({{"a", 1}});
    const bool first = process.shutdown(1s);
    const bool second = process.shutdown(1s);
    fmt::print("{} {} {}\n", first, second, store.shutdowns.load());
    process.log({{"a", 2}});
    try {
      process.log({{"a", 3}}, {.sync = true});
    } catch (const StoreError& e) {
      fmt::print("{}\n", e.what());
    }
    const codewake::ProcessStats stats = process.stats();
    fmt::print("{} {} {}\n", stats.logged, stats.stored, stats.lost_after_shutdown);
  });
  CHECK(child.out == "true true 1\nstore unavailable: the process has been shut down\n3 1 2\n");
}

TEST_CASE("A child made by fork has a process record of its own, made by its first log") {
  const ChildResult child = with_process([](Process& process, ScriptedStore& store) {
    process.log({{"who", "parent"}});
    fflush(stdout);
    const pid_t forked = fork();
    if (forked == 0) {
      fmt::print("{}\n", store.get_processes({}).size());
      const auto record = process.log({{"who", "child"}}, {.sync = true});
      const auto own = store.get_process_by_id(record->process_id);
      fmt::print("{} {} {}\n", store.get_processes({}).size(), own->pid == getpid(), process.stats().logged);
      return;
    }
    waitpid(forked, nullptr, 0);
    process.log({{"who", "parent"}});
    fmt::print("{} {} {}\n", store.get_processes({}).size(), store.get_events_by_data({}).size(),
               process.stats().logged);
  });
  CHECK(child.exit_code == 0);
  CHECK(child.out == "1\n2 true 1\n1 2 2\n");
}

TEST_CASE("Forking while other threads log never hangs the child") {
  const ChildResult child = with_process([](Process& process, ScriptedStore&) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        while (!stop) process.log({{"event", "busy"}});
      });
    }
    int ended_well = 0;
    for (int i = 0; i < 20; ++i) {
      const pid_t forked = fork();
      if (forked == 0) {
        alarm(20);  // a hang ends by this signal, and is seen
        _exit(process.stats().logged == 0 && Process::exists() ? 0 : 1);
      }
      int status = 0;
      waitpid(forked, &status, 0);
      ended_well += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    fmt::print("{}\n", ended_well);
  });
  CHECK(child.exit_code == 0);
  CHECK(child.out == "20\n");
}

TEST_CASE("A null exception_ptr is an event without exception") {
  const ChildResult child = with_process([](Process& process, ScriptedStore&) {
    const auto record = process.log({{"a", 1}}, std::exception_ptr(), {.sync = true});
    fmt::print("{}\n", show(record->data));
  });
  CHECK(child.out == "a=1\n");
}
