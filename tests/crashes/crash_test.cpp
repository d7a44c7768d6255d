#include <dlfcn.h>
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "crashes/dying.hpp"
#include "support/skip.hpp"

namespace codewake::testing {
namespace {

constexpr const char* kNoPrograms = "sanitizers have signal handlers of their own";

struct Way {
  std::vector<std::string> how;  // the program's arguments
  int signal;
  const char* guilty;  // the function, among the innermost frames
  std::vector<std::pair<std::string, std::string>> says = {};
  std::vector<std::string> variables = {};
};

bool is_named(const EventRecord& crash, const std::string& function) {
  const std::size_t innermost = std::min<std::size_t>(crash.frames.size(), 4);
  return std::any_of(crash.frames.begin(), crash.frames.begin() + static_cast<std::ptrdiff_t>(innermost),
                     [&](const Frame& frame) { return frame.function.find(function) != std::string::npos; });
}

// Behind others: C libraries differ in how they abort, and a value may be looked at deep within a store.
bool is_named_somewhere(const EventRecord& crash, const std::string& function) {
  return std::any_of(crash.frames.begin(), crash.frames.end(),
                     [&](const Frame& frame) { return frame.function.find(function) != std::string::npos; });
}

std::string show(const EventRecord& crash) {
  std::string text;
  for (const Frame& frame : crash.frames) {
    text +=
        "\n  " + frame.function + " " + frame.filename + ":" + std::to_string(frame.lineno) + " " + frame.src;
  }
  return text;
}

void check(const Way& way, const std::string& variant, const Deathbed& bed, const ChildResult& result) {
  CAPTURE(variant);
  CAPTURE(way.how[0]);
  CAPTURE(result.err);
  CHECK(result.signal == way.signal);
  CHECK(result.exit_code == (way.signal == 0 ? 0 : -1));
  bed.recover();
  const auto crashes = bed.crashes();
  REQUIRE(crashes.size() == 1);
  const std::string frames = show(crashes[0]);
  CAPTURE(frames);
  const bool is_behind_others = way.signal == SIGABRT || way.how[0] == "raise" || way.how[0] == "log" ||
                                way.how[0] == "raised while blocked";
  CHECK((is_behind_others ? is_named_somewhere(crashes[0], way.guilty) : is_named(crashes[0], way.guilty)));
  for (const auto& [key, expected] : way.says) {
    CAPTURE(key);
    CHECK(value(crashes[0], key) == expected);
  }
  CHECK(value(crashes[0], "crash.thread_id") != "");
  CHECK(bed.journal().runs().empty());
}

bool can_ask_dynamic_linker() {
#if defined(__x86_64__)
  return dlsym(RTLD_DEFAULT, "_dl_find_object") != nullptr;
#else
  return false;
#endif
}

std::vector<Way> ways() {
  std::vector<Way> all = {
      {{"write"},
       SIGSEGV,
       "guilty_write",
       {{"crash.signal", "SIGSEGV"}, {"crash.code", "SEGV_MAPERR"}, {"crash.address", "0x0"}}},
      {{"divide"}, SIGFPE, "guilty_divide", {{"crash.signal", "SIGFPE"}, {"crash.code", "FPE_INTDIV"}}},
      {{"instruction"}, SIGILL, "guilty_instruction", {{"crash.signal", "SIGILL"}}},
      {{"trap"}, SIGTRAP, "guilty_trap", {{"crash.signal", "SIGTRAP"}}},
      {{"bus"}, SIGBUS, "guilty_bus", {{"crash.signal", "SIGBUS"}, {"crash.code", "BUS_ADRERR"}}},
      {{"raise", std::to_string(SIGSYS)}, SIGSYS, "guilty_raise", {{"crash.signal", "SIGSYS"}}},
      {{"abort"}, SIGABRT, "guilty_abort", {{"crash.signal", "SIGABRT"}}},
      {{"assert"}, SIGABRT, "guilty_assert"},
      {{"null call"}, SIGSEGV, "guilty_call", {{"crash.address", "0x0"}}},
      {{"wild call"}, SIGSEGV, "guilty_call", {{"crash.address", "0x1234"}}},
      {{"overflow"}, SIGSEGV, "guilty_recursion", {{"crash.reason", "stack overflow"}}},
      {{"pure virtual"},
       SIGABRT,
       "guilty_constructor",
       {{"crash.reason", "std::terminate without an exception"}}},
      {{"throw"},
       SIGABRT,
       "guilty_throw",
       {{"crash.reason", "uncaught exception"},
        {"crash.signal", "SIGABRT"},
        {"exception.type", "std::runtime_error"},
        {"exception.message", "nobody catches this"},
        {"exception.cause.1.type", "std::logic_error"},
        {"exception.cause.1.message", "the reason"}}},
      {{"throw"}, SIGABRT, "guilty_throw", {{"exception.message", "nobody catches this"}}, {"DIE_EARLY=1"}},
      {{"promise"}, SIGABRT, "guilty_promise", {{"exception.type", "std::out_of_range"}}},
      {{"allocation"}, SIGABRT, "guilty_allocation", {{"exception.type", "std::bad_alloc"}}},
      {{"log"}, SIGSEGV, "guilty_log"},
      {{"overwriting"}, SIGSEGV, "guilty_write"},
      {{"plugin", program("liblate_plugin.so")}, SIGSEGV, "guilty_plugin"},
      {{"thread"}, SIGSEGV, "guilty_write", {{"crash.thread", "the-guilty"}}},
      {{"thread throw"},
       SIGABRT,
       "guilty_throw",
       {{"crash.thread", "the-guilty"}, {"exception.message", "nobody catches this"}}},
      {{"thread overflow"},
       SIGSEGV,
       "guilty_recursion",
       {{"crash.thread", "the-guilty"}, {"crash.reason", "stack overflow"}}},
      {{"C11 thread overflow"}, SIGSEGV, "guilty_recursion", {{"crash.reason", "stack overflow"}}},
      {{"all blocked"}, SIGFPE, "guilty_divide"},
      {{"all blocked in a thread"},
       SIGSEGV,
       "guilty_recursion",
       {{"crash.thread", "the-guilty"}, {"crash.reason", "stack overflow"}}},
      {{"all blocked before"}, SIGSEGV, "guilty_write"},
      {{"raised while blocked"}, SIGSEGV, "guilty_unblocking"},
      {{"fifty"}, SIGSEGV, "guilty_write"},
      {{"exit"}, SIGSEGV, "guilty_write"},
      {{"handler before"}, SIGSEGV, "guilty_write"},
      {{"handler after"}, SIGSEGV, "guilty_write"},
      {{"handler chains"}, SIGSEGV, "guilty_write"},
      {{"handler crashes"}, SIGSEGV, "guilty_write"},
      {{"handler overflows"}, SIGSEGV, "guilty_write"},
      {{"handler by", "sigset"}, SIGSEGV, "guilty_write"},
      {{"handler by", "ssignal"}, SIGSEGV, "guilty_write"},
      {{"handler by", "bsd_signal"}, SIGSEGV, "guilty_write"},
      {{"handler by", "sysv_signal"}, SIGSEGV, "guilty_write"},
      {{"terminate handler before"}, SIGABRT, "guilty_throw", {{"exception.type", "std::runtime_error"}}},
      {{"terminate handler after"}, SIGABRT, "guilty_throw", {{"exception.type", "std::runtime_error"}}},
      {{"terminate handler throws"}, SIGABRT, "guilty_throw", {{"exception.type", "std::runtime_error"}}},
      {{"terminate handler rethrows"}, SIGABRT, "guilty_throw", {{"exception.type", "std::runtime_error"}}},
      {{"jump, then die"}, SIGSEGV, "guilty_recursion", {{"crash.reason", "stack overflow"}}},
      {{"fork"}, 0, "guilty_write", {{"crash.signal", "SIGSEGV"}}},
      {{"fork without descriptors"}, 0, "guilty_write", {{"crash.signal", "SIGSEGV"}}},
      {{"fork throw"}, 0, "guilty_throw", {{"exception.type", "std::runtime_error"}}},
  };
  // Elsewhere modules are found by opening a file.
  if (can_ask_dynamic_linker()) all.push_back({{"sandbox"}, SIGSEGV, "guilty_write"});
  return all;
}

std::vector<std::string> words_of(const std::string& variant, const Way& way) {
  std::vector<std::string> words = {program(variant)};
  words.insert(words.end(), way.how.begin(), way.how.end());
  return words;
}

}  // namespace

TEST_CASE(
    "However a program dies it leaves one crash that names the guilty function, and dies of its own signal") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const Way& way : ways()) {
    for (const std::string& variant : variants()) {
      const Deathbed bed;
      check(way, variant, bed, bed.run(words_of(variant, way), way.variables));
    }
  }
}

TEST_CASE("The same with a store that does not queue") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const Way& way : ways()) {
    const Deathbed bed("SqliteStore");
    check(way, variants()[0], bed, bed.run(words_of(variants()[0], way), way.variables));
  }
}

TEST_CASE("A program that has changed its root names the guilty function") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  if (!can_ask_dynamic_linker()) CODEWAKE_SKIP("here modules are found in /proc");
  constexpr int kRefused = 71;
  const Deathbed tried;
  const std::string somewhere = tried.journal().path().string();
  if (tried.run({program(variants()[0]), "chroot", somewhere}).exit_code == kRefused)
    CODEWAKE_SKIP("this user may not call chroot()");
  for (const char* store : {"SqliteQueueStore", "SqliteStore"}) {
    for (const std::string& variant : variants()) {
      const Deathbed bed(store);
      const TemporaryFolder root;
      const Way way{{"chroot", root.path().string()}, SIGSEGV, "guilty_write"};
      check(way, variant, bed, bed.run(words_of(variant, way)));
    }
  }
}

TEST_CASE("The journal of a program that has changed its root stays where it is") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  constexpr int kRefused = 71;
  const Deathbed bed;
  const TemporaryFolder root;
  const Way way{{"chroot for a while", root.path().string()}, SIGSEGV, "guilty_write"};
  const ChildResult result = bed.run(words_of(variants()[0], way));
  if (result.exit_code == kRefused) CODEWAKE_SKIP("this user may not call chroot()");
  CHECK(result.err.find("deleted") == std::string::npos);
  CHECK(std::filesystem::is_empty(root.path()));
  check(way, variants()[0], bed, result);
}

TEST_CASE("A store that does not queue stores at its next start what the last program died of") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  const Deathbed bed("SqliteStore");
  CHECK(bed.run({program(variants()[0]), "write"}).signal == SIGSEGV);
  CHECK(bed.crashes().empty());
  CHECK(bed.run({program(variants()[0]), "nothing"}).exit_code == 0);
  REQUIRE(bed.crashes().size() == 1);
  CHECK(is_named(bed.crashes()[0], "guilty_write"));
  CHECK(bed.journal().runs().empty());
}

TEST_CASE("A program without symbols leaves its module and the offset in it") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  const Deathbed bed;
  CHECK(bed.run({program("dying_stripped"), "write"}).signal == SIGSEGV);
  bed.recover();
  REQUIRE(bed.crashes().size() == 1);
  const Frame frame = bed.crashes()[0].frames.at(0);
  CHECK(frame.module.ends_with("dying_stripped"));
  CHECK(frame.offset != 0);
  CHECK(frame.offset < 1u << 20);
  CHECK(frame.build_id.size() == 40);
}

TEST_CASE("The events of a process that died stand before its crash, and belong to the same process") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const char* store : {"SqliteQueueStore", "SqliteStore"}) {
    const Deathbed bed(store);
    CHECK(bed.run({program(variants()[0]), "write"}).signal == SIGSEGV);
    bed.recover();
    SqliteStore reader({bed.dsn()});
    CHECK(reader.get_processes({}).size() == 1);
    const EventPage page = reader.get_events({});
    REQUIRE(page.events.size() == 31);
    std::string first;
    for (const Attribute& attribute : page.events[0].data)
      first += attribute.key + "=" + attribute.value.value_or("NULL") + " ";
    INFO(first);
    CHECK(value(page.events[0], "event") == "codewake.crash");
    for (std::size_t i = 1; i < page.events.size(); ++i) {
      CHECK(value(page.events[i], "number") == std::to_string(31 - i));
      CHECK(page.events[i].process_id == page.events[0].process_id);
    }
  }
}

TEST_CASE("A crash inside of a trace is tied to it, and so is what was recorded in it before") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const char* how : {"trace", "trace throw"}) {
    const Deathbed bed;
    bed.run({program(variants()[0]), how});
    bed.recover();
    SqliteStore reader({bed.dsn()});
    const std::vector<TraceSummary> traces = reader.get_traces({});
    REQUIRE(traces.size() == 1);
    const TraceEventPage traced = reader.get_trace_events({.trace_id = traces[0].trace_id});
    REQUIRE(traced.events.size() == 1);
    const TraceTie tie{traced.events[0].trace_id, traced.events[0].span_id};
    const std::vector<EventRecord> events = reader.get_events_of_trace(tie.trace_id, 100);
    REQUIRE(events.size() == 2);
    CHECK(value(events[0], "number") == "99");
    CHECK(events[0].trace == tie);
    CHECK(value(events[1], "event") == "codewake.crash");
    CHECK(events[1].trace == tie);
  }
}

TEST_CASE("Crashes are listed with the exceptions") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  const Deathbed bed;
  for (const char* how : {"write", "overflow", "throw"}) bed.run({program(variants()[0]), how});
  bed.recover();
  SqliteStore reader({bed.dsn()});
  const auto groups = reader.get_exceptions({});
  REQUIRE(groups.size() == 3);
  CHECK(groups[0].type == "std::runtime_error");
  CHECK(groups[0].message == "nobody catches this");
  CHECK(groups[1].type == "SIGSEGV");
  CHECK(groups[1].message == "stack overflow");
  CHECK(groups[2].type == "SIGSEGV");
  CHECK_FALSE(groups[2].message);
  REQUIRE(groups[2].top_frame);
  CHECK(groups[2].top_frame->function.find("guilty_write") != std::string::npos);
}

TEST_CASE("A child that dies before it has recorded anything is a process of its own") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  const Deathbed bed;
  CHECK(bed.run({program(variants()[0]), "fork"}).exit_code == 0);
  bed.recover();
  SqliteStore reader({bed.dsn()});
  const auto processes = reader.get_processes({});
  REQUIRE(processes.size() == 2);
  CHECK(processes[0].pid != processes[1].pid);
  REQUIRE(bed.crashes().size() == 1);
  CHECK(bed.crashes()[0].process_id == processes[1].id);
  CHECK(processes[0].exe_path == processes[1].exe_path);
}

TEST_CASE("The program's own handlers run, whenever they were set") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const char* how : {"handler before", "handler after", "handler chains", "handler crashes"}) {
    CAPTURE(how);
    CHECK(Deathbed().run({program(variants()[0]), how}).err == "program's handler\n");
  }
  for (const char* function : {"sigset", "ssignal", "bsd_signal", "sysv_signal"}) {
    CAPTURE(function);
    CHECK(Deathbed().run({program(variants()[0]), "handler by", function}).err == "program's handler\n");
  }
  for (const char* how : {"terminate handler before", "terminate handler after"}) {
    CAPTURE(how);
    CHECK(Deathbed().run({program(variants()[0]), how}).err == "program's terminate handler\n");
  }
}

TEST_CASE("A handler of the program that exits, or returns to abort(), does not hide the crash") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  struct {
    const char* how;
    int exit_code;
    int signal;
    const char* guilty;
  } const ways[] = {{"handler exits", 3, 0, "guilty_write"},
                    {"handler jumps inside", 3, 0, "guilty_write"},
                    {"terminate handler exits", 3, 0, "guilty_throw"},
                    {"abort with a handler", -1, SIGABRT, "guilty_abort"}};
  for (const char* store : {"SqliteQueueStore", "SqliteStore"}) {
    for (const auto& way : ways) {
      CAPTURE(store);
      CAPTURE(way.how);
      const Deathbed bed(store);
      const ChildResult result = bed.run({program(variants()[0]), way.how});
      CHECK(result.exit_code == way.exit_code);
      CHECK(result.signal == way.signal);
      bed.recover();
      REQUIRE(bed.crashes().size() == 1);
      CHECK(is_named_somewhere(bed.crashes()[0], way.guilty));
      CHECK(SqliteStore({bed.dsn()}).get_events({}).events.size() == 31);
      CHECK(bed.journal().runs().empty());
    }
  }
}

TEST_CASE("What the program survives is no crash") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const char* how : {"jump", "mend", "ignored"}) {
    CAPTURE(how);
    const Deathbed bed;
    CHECK(bed.run({program(variants()[0]), how}).exit_code == 0);
    bed.recover();
    CHECK(bed.crashes().empty());
  }
}

TEST_CASE("A handler has as much room as it has without us, and reads what alternate stack it has set") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const std::string& variant : variants()) {
    for (const char* how : {"handler needs much", "small stack"}) {
      CAPTURE(variant);
      CAPTURE(how);
      const Deathbed bed;
      CHECK(bed.run({program(variant), how}).exit_code == 5);
      bed.recover();
      REQUIRE(bed.crashes().size() == 1);
      CHECK(is_named(bed.crashes()[0], "guilty_write"));
    }
  }
}

TEST_CASE(
    "What is sent while it is blocked waits, for sigwait() too, and the program reads the mask it has set") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  const Deathbed bed;
  CHECK(bed.run({program(variants()[0]), "blocked signals"}).exit_code == 5);
  bed.recover();
  CHECK(bed.crashes().empty());
}

TEST_CASE("What signal() promises of interrupted calls is kept") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  CHECK(Deathbed().run({program(variants()[0]), "restarts"}).exit_code == 5);
}

TEST_CASE("A program that closes all descriptors keeps its run: nobody recovers it while it lives") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  const Deathbed bed;
  const std::string recover = std::string(std::getenv("CODEWAKE_TEST_TOOL")) + " recover";
  CHECK(bed.run({program(variants()[0]), "closes all", recover}).signal == SIGSEGV);
  bed.recover();
  REQUIRE(bed.crashes().size() == 1);
  CHECK(is_named(bed.crashes()[0], "guilty_write"));
  SqliteStore reader({bed.dsn()});
  for (int number = 1; number <= 20010; number += number < 20000 ? 100 : 1) {
    CAPTURE(number);
    CHECK(reader.get_events_by_data({{"number", std::to_string(number)}}).size() == 1);
  }
  CHECK(bed.journal().runs().empty());
}

TEST_CASE("A handler that is left is no crash, however it is left: not of a process that is killed later") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const char* how : {"jump", "plain jump", "exception", "thread's end", "terminate and jump", "mend",
                          "ignored", "ignored by sigignore"}) {
    for (const char* store : {"SqliteQueueStore", "SqliteStore"}) {
      CAPTURE(how);
      CAPTURE(store);
      const Deathbed bed(store);
      CHECK(bed.run({program(variants()[0]), how, "killed"}).signal == SIGKILL);
      bed.recover();
      CHECK(bed.crashes().empty());
    }
  }
}

TEST_CASE("A handler that one thread has left does not keep another's crash from being told") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  for (const char* how : {"jump", "plain jump", "exception", "terminate and jump"}) {
    CAPTURE(how);
    const Deathbed bed;
    CHECK(bed.run({program(variants()[0]), how, "another thread dies"}).signal == SIGSEGV);
    bed.recover();
    REQUIRE(bed.crashes().size() == 1);
    CHECK(value(bed.crashes()[0], "crash.thread") == "the-guilty");
    CHECK(value(bed.crashes()[0], "exception.type") == "");
    CHECK(is_named(bed.crashes()[0], "guilty_recursion"));
  }
}

TEST_CASE("Each half of it can be turned off") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  const std::string no_signals = "CODE_WAKE_CRASHES_SIGNALS=false";
  const std::string no_uncaught = "CODE_WAKE_CRASHES_UNCAUGHT=false";
  const auto crashes_of = [&](const char* how, const std::vector<std::string>& variables) {
    const Deathbed bed;
    CHECK(bed.run({program(variants()[0]), how}, variables).signal != 0);
    bed.recover();
    return bed.crashes();
  };
  CHECK(crashes_of("write", {no_signals}).empty());
  CHECK(crashes_of("throw", {no_signals, no_uncaught}).empty());
  const auto uncaught = crashes_of("throw", {no_signals});
  REQUIRE(uncaught.size() == 1);
  CHECK(value(uncaught[0], "crash.signal") == "");
  CHECK(value(uncaught[0], "exception.type") == "std::runtime_error");
  const auto aborted = crashes_of("throw", {no_uncaught});
  REQUIRE(aborted.size() == 1);
  CHECK(value(aborted[0], "crash.signal") == "SIGABRT");
  CHECK(value(aborted[0], "exception.type") == "");
}

TEST_CASE("Where there is no journal a program dies as it would without") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPrograms);
  const Deathbed bed;
  const ChildResult result = bed.run({program(variants()[0]), "write"}, {"CODE_WAKE_QUEUE_JOURNAL=memory"});
  CHECK(result.signal == SIGSEGV);
  CHECK(result.err == "");
}

}  // namespace codewake::testing
