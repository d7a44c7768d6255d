#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "crashes/dying.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

std::string top_function(const EventRecord& event) {
  for (const Frame& frame : event.frames) {
    if (frame.function.find("guilty") != std::string::npos) return frame.function;
  }
  return {};
}

}  // namespace

TEST_CASE(
    "codewake run: a program that was never changed leaves its crash, and what it came to passes through") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  struct {
    std::vector<std::string> words;
    int signal;
    const char* function;
    const char* cause;
  } const ways[] = {
      {{program("unchanged"), "write"}, SIGSEGV, "guilty_write", "SIGSEGV"},
      {{program("unchanged"), "throw"}, SIGABRT, "guilty_throw", "std::out_of_range"},
      {{program("unchanged_c")}, SIGABRT, "guilty_abort", "SIGABRT"},
  };
  for (const auto& way : ways) {
    const Deathbed bed;
    const ChildResult result = bed.run(watched(way.words));
    CAPTURE(result.err);
    CHECK(result.signal == way.signal);
    const auto crashes = bed.crashes();  // stored already
    REQUIRE(crashes.size() == 1);
    CHECK(top_function(crashes[0]).find(way.function) != std::string::npos);
    const std::string told = way.words[0] + " died of " + way.cause + "; 'codewake event " +
                             std::to_string(crashes[0].id) + "' shows where";
    CHECK(result.err.find(told) != std::string::npos);
    CHECK(bed.journal().runs().empty());
  }
}

TEST_CASE("codewake run: exit codes, words and standard input pass through, and a good end leaves nothing") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  CHECK(bed.run(watched({program("unchanged"), "exit"})).exit_code == 42);
  const ChildResult echo = in_child([&] {
    const TemporaryFolder folder;
    folder.write("input", "typed");
    const int input = open((folder / "input").c_str(), O_RDONLY);
    dup2(input, STDIN_FILENO);
    bed.become(watched({program("unchanged"), "echo", "a b", "--store", "*"}));
  });
  CHECK(echo.out == "[a b][--store][*]typed");
  CHECK(echo.err == "");
  SqliteStore reader({bed.dsn()});
  CHECK(reader.get_processes({}).empty());
  CHECK(bed.journal().runs().empty());
}

TEST_CASE("codewake run --throws records every exception, caught or not") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  CHECK(bed.run(watched({program("unchanged"), "catch"}, {"--throws"})).exit_code == 0);
  SqliteStore reader({bed.dsn()});
  const auto throws = reader.get_events_by_data({{"event", "codewake.throw"}});
  for (const EventRecord& event : throws) {
    CAPTURE(value(event, "exception.message"));
    CHECK(value(event, "exception.type") == "std::out_of_range");
    CHECK(top_function(event).find("guilty_throw") != std::string::npos);
  }
  REQUIRE(throws.size() == 3);
  CHECK(bed.crashes().empty());
}

TEST_CASE("codewake run: what a program starts is watched, too") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  const ChildResult result =
      bed.run(watched({"/bin/sh", "-c", program("unchanged").string() + " write; exit 3"}));
  CHECK(result.exit_code == 3);
  const auto crashes = bed.crashes();
  REQUIRE(crashes.size() == 1);
  CHECK(result.err.find("died of SIGSEGV; 'codewake event " + std::to_string(crashes[0].id) +
                        "' shows where") != std::string::npos);
}

TEST_CASE("codewake run: a program that uses the library itself records as ever, and crashes once") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  for (const char* how : {"write", "throw"}) {
    const Deathbed bed;
    bed.run(watched({program(variants()[0]), how}));
    SqliteStore reader({bed.dsn()});
    CHECK(reader.get_processes({}).size() == 1);
    CHECK(reader.get_events({}).events.size() == 31);
    CHECK(bed.crashes().size() == 1);
  }
}

TEST_CASE("codewake run hands signals on") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  const TemporaryFolder folder;
  const auto output = folder / "output";
  const pid_t child = start_child([&] {
    const int file = open(output.c_str(), O_WRONLY | O_CREAT, 0600);
    dup2(file, STDOUT_FILENO);
    bed.become(watched({program("unchanged"), "wait"}));
  });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto is_ready = [&] {
    std::string word;
    return static_cast<bool>(std::ifstream(output) >> word);
  };
  while (!is_ready() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  kill(child, SIGTERM);
  CHECK(wait_for(child) == 5);
  CHECK(bed.run(watched({program("unchanged"), "stop itself"})).signal == SIGTERM);
}

TEST_CASE("codewake run says what it cannot do") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  const ChildResult missing = bed.run(watched({"./no-such-program"}));
  CHECK(missing.exit_code == 127);
  CHECK(missing.err == "codewake: ./no-such-program: No such file or directory\n");
  const ChildResult no_words = bed.run({std::getenv("CODEWAKE_TEST_TOOL"), "run"});
  CHECK(no_words.exit_code == 2);
  const ChildResult fixed = bed.run(watched({program("unchanged_static")}));
  CHECK(fixed.signal == SIGABRT);
  CHECK(fixed.err.find("is linked statically: it runs, and nothing of it is recorded") != std::string::npos);
}

TEST_CASE(
    "codewake run --store: a program that closes all descriptors and starts another one loses no crash") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  const TemporaryFolder runtime;
  const std::string close_all = "for i in 3 4 5 6 7 8 9; do eval \"exec $i>&-\"; done; ";
  const ChildResult result =
      bed.run(watched({"/bin/sh", "-c", close_all + program("unchanged").string() + " write; exit 3"},
                      {"--store", bed.dsn()}),
              {"CODE_WAKE_STORE_CONFIG=sqlite:////nonexistent/x.sqlite",
               "XDG_RUNTIME_DIR=" + runtime.path().string()});
  CAPTURE(result.err);
  CHECK(result.exit_code == 3);
  CHECK(bed.crashes().size() == 1);
  CHECK(std::filesystem::is_empty(runtime.path()));
}

TEST_CASE(
    "codewake run: a handler that is left by __builtin_longjmp has recovered, once the program ends well") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  for (const char* how : {"recover", "recover and _exit"}) {
    const Deathbed bed;
    const ChildResult result = bed.run(watched({program("unchanged"), how}));
    CHECK(result.exit_code == 0);
    CHECK(result.err == "");
    CHECK(bed.crashes().empty());
    CHECK(bed.journal().runs().empty());
  }
}

TEST_CASE("codewake run: a handler that keeps as much on the stack as a thread has writes its whole report") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  for (const char* how : {"report at length", "report at length in a thread"}) {
    const Deathbed bed;
    const ChildResult result = bed.run(watched({program("unchanged"), how}));
    CHECK(result.exit_code == 6);
    CHECK(result.out == "whole report\n");
    CHECK(bed.crashes().size() == 1);
  }
}

TEST_CASE(
    "codewake run: before there is something to record, the program has its own threads and files only") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  const ChildResult alone = bed.run({program("unchanged"), "look around"});
  CHECK(alone.out.find("1 threads, ") == 0);
  CHECK(alone.out.find("SIGSYS free") != std::string::npos);
  CHECK(bed.run(watched({program("unchanged"), "look around"})).out == alone.out);
}

TEST_CASE("codewake run: a program that makes a user namespace can do so each time") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  if (bed.run({program("unchanged"), "unshare"}).exit_code != 0) CODEWAKE_SKIP("no user namespaces here");
  const std::string often =
      "for i in $(seq 50); do " + program("unchanged").string() + " unshare || exit $?; done";
  CHECK(bed.run(watched({"/bin/sh", "-c", often})).exit_code == 0);
}

TEST_CASE("codewake run: causes of an exception are recorded with it") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  CHECK(bed.run(watched({program("unchanged"), "throw nested"})).signal == SIGABRT);
  const auto crashes = bed.crashes();
  REQUIRE(crashes.size() == 1);
  CHECK(value(crashes[0], "exception.type") == "std::runtime_error");
  CHECK(value(crashes[0], "exception.message") == "outer");
  CHECK(value(crashes[0], "exception.cause.1.type") == "std::out_of_range");
  CHECK(value(crashes[0], "exception.cause.1.message") != "");
}

TEST_CASE(
    "codewake run: a C program whose plugin brings the C++ runtime along has its exceptions recorded, each "
    "once") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  const std::string plugin = program("throwing_plugin.so");
  CHECK(bed.run(watched({program("opener"), plugin, "guilty_plugin"})).signal == SIGABRT);
  const auto crashes = bed.crashes();
  REQUIRE(crashes.size() == 1);
  CHECK(value(crashes[0], "exception.type") == "std::logic_error");
  CHECK(value(crashes[0], "exception.message") == "of a plugin");
  CHECK(top_function(crashes[0]).find("guilty_plugin") != std::string::npos);
  CHECK(bed.run(watched({program("opener"), plugin, "catching_plugin"}, {"--throws"})).exit_code == 0);
  SqliteStore reader({bed.dsn()});
  CHECK(reader.get_events_by_data({{"event", "codewake.throw"}}).size() == 1);
}

TEST_CASE("codewake run --throws: a crash belongs to the process that the exceptions before it belong to") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  CHECK(bed.run(watched({program("unchanged"), "throw"}, {"--throws"})).signal == SIGABRT);
  SqliteStore reader({bed.dsn()});
  const auto throws = reader.get_events_by_data({{"event", "codewake.throw"}});
  const auto crashes = bed.crashes();
  REQUIRE(throws.size() == 1);
  REQUIRE(crashes.size() == 1);
  CHECK(crashes[0].process_id == throws[0].process_id);
  CHECK(value(crashes[0], "exception.type") == "std::out_of_range");
}

}  // namespace codewake::testing
