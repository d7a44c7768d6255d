#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

#include "consumer/installation.hpp"

using codewake::testing::Installation;
using codewake::testing::Outcome;
using codewake::testing::run;
using codewake::testing::shell_word;

namespace {

std::filesystem::path library() {
  return Installation::instance().libdir() / "libcodewake.so";
}

// The names that a shared object exports, as the linker knows them.
std::set<std::string> exports_of(const std::filesystem::path& object) {
  const Outcome listed =
      run(fmt::format("nm --dynamic --defined-only --format=posix {}", shell_word(object)));
  REQUIRE_MESSAGE(listed.status == 0, listed.output);
  std::set<std::string> names;
  std::istringstream lines(listed.output);
  for (std::string line; std::getline(lines, line);) names.insert(line.substr(0, line.find(' ')));
  return names;
}

// A function, a type's description or a thunk of namespace codewake, and not of its details; but for what
// templates are made of in other objects: QueueStore, TracedMutex, Traced, Bound, and coroutines.
bool is_public(const std::string& name) {
  static const std::regex kOurs(
      "_Z(NK?[RO]?|T[ISVTv].*N|Thn.*N|GVN)8codewake(?!8internal(?!5QueueD|5QueueC|5Queue\\d+(insert_|flush|"
      "shutdown|"
      "stats)|10SpawnPoint|8accessed|8operated|12swap_current|13lock_acquired|13lock_released|15make_lock_"
      "clock)).*");
  return std::regex_match(name, kOurs);
}

}  // namespace

TEST_CASE("the library exports its own names and the runtime functions that it replaces, and nothing else") {
  const std::set<std::string> replaced = {"__cxa_throw",
                                          "__cxa_init_primary_exception",
                                          "codewake_throw_hook",
                                          "sigaction",
                                          "signal",
                                          "__sysv_signal",
                                          "sysv_signal",
                                          "bsd_signal",
                                          "ssignal",
                                          "sigset",
                                          "sigignore",
                                          "longjmp",
                                          "_longjmp",
                                          "siglongjmp",
                                          "__longjmp_chk",
                                          "pthread_create",
                                          "thrd_create",
                                          "sigaltstack",
                                          "pthread_sigmask",
                                          "sigprocmask",
                                          "_exit",
                                          "_Exit",
                                          "dlclose",
                                          "_ZSt13set_terminatePFvvE"};
  const std::set<std::string> names = exports_of(library());
  CHECK(names.contains("__cxa_throw"));
  CHECK(names.contains("_ZN8codewake7Process8instanceEv"));
  for (const std::string& name : names) {
    CHECK_MESSAGE((is_public(name) || replaced.contains(name)), name);
  }
}

TEST_CASE("each adapter exports its stores and its description, and nothing else") {
  int adapters = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(Installation::instance().libdir() / "codewake")) {
    CAPTURE(entry.path().string());
    const auto names = exports_of(entry.path());
    CHECK(names.contains("codewake_plugin"));
    for (const std::string& name : names) {
      CHECK_MESSAGE((is_public(name) || name == "codewake_plugin"), name);
    }
    ++adapters;
  }
  CHECK(adapters > 0);
}

// A thread's first use of such storage allocates it, and where there is no memory, the process ends.
TEST_CASE("no adapter has storage of its own in each thread") {
  for (const auto& entry :
       std::filesystem::directory_iterator(Installation::instance().libdir() / "codewake")) {
    CAPTURE(entry.path().string());
    const Outcome shown = run(fmt::format("readelf --segments --wide {}", shell_word(entry.path())));
    REQUIRE(shown.status == 0);
    CHECK(shown.output.find("LOAD") != std::string::npos);
    CHECK(shown.output.find("  TLS ") == std::string::npos);
  }
}

TEST_CASE("the library's soname has the number of its binary interface") {
  const Outcome shown = run(fmt::format("readelf --dynamic --wide {}", shell_word(library())));
  REQUIRE(shown.status == 0);
  CHECK(shown.output.find("soname: [libcodewake.so.0]") != std::string::npos);
  CHECK(std::filesystem::exists(Installation::instance().libdir() / "libcodewake.so.0"));
}

TEST_CASE("the library that codewake run preloads needs the C library alone, and of it what musl has") {
  const auto watch = Installation::instance().libdir() / "libcodewake-watch.so.0";
  const Outcome shown = run(fmt::format("readelf --dynamic --wide {} | grep NEEDED", shell_word(watch)));
  REQUIRE(shown.status == 0);
  CHECK(shown.output.find("[libc.so.6]") != std::string::npos);
  CHECK(std::count(shown.output.begin(), shown.output.end(), '\n') == 1);
  const Outcome wanted = run(fmt::format("nm --dynamic --undefined-only {}", shell_word(watch)));
  REQUIRE(wanted.status == 0);
  for (const char* missing :
       {"__register_atfork", "_dl_find_object", "__tls_get_addr", "cpy_chk", "__isoc23", "gnu_get_libc"}) {
    CAPTURE(missing);
    const std::size_t found = wanted.output.find(missing);
    CHECK(found == std::string::npos);
  }
}
