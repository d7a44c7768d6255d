#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "consumer/installation.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

using codewake::testing::build_setting;
using codewake::testing::Installation;
using codewake::testing::Outcome;
using codewake::testing::read_file;
using codewake::testing::run;
using codewake::testing::shell_word;
using codewake::testing::TemporaryFolder;
using codewake::testing::test_data;

namespace {

// A sanitized library needs a program that is sanitized alike.
std::string compiler_flags() {
  return "-std=c++20 -Wall -Wextra -Wpedantic -Werror " + build_setting("CODEWAKE_SANITIZE");
}

std::filesystem::path program(std::string_view name) {
  return std::filesystem::path(build_setting("CODEWAKE_CONSUMER")) / name;
}

// Runs a command that must succeed, and returns what it said.
std::string must(const std::string& command, std::string_view environment = {}) {
  const Outcome outcome = run(command, environment);
  REQUIRE_MESSAGE(outcome.status == 0, fmt::format("{}\nsays: {}", command, outcome.output));
  return outcome.output;
}

std::filesystem::path write_configuration(const TemporaryFolder& folder) {
  return folder.write("code_wake.conf",
                      fmt::format("store: {{adapter: \"code_wake_sqlite_store,SqliteStore\", "
                                  "config: \"sqlite:///{}\"}}\n",
                                  (folder / "consumer.sqlite").string()));
}

// What the installed command line reads back, oldest first.
std::vector<nlohmann::json> events_of(const std::filesystem::path& configuration) {
  const Installation& installation = Installation::instance();
  std::istringstream lines(must(fmt::format("{} events --format ndjson", shell_word(installation.tool())),
                                installation.run_environment(configuration)));
  std::vector<nlohmann::json> events;
  for (std::string line; std::getline(lines, line);)
    events.insert(events.begin(), nlohmann::json::parse(line));
  return events;
}

// The program recorded an event and an exception of the standard library, and both can be read back.
void check_records(const std::filesystem::path& executable) {
  const TemporaryFolder folder;
  const std::filesystem::path configuration = write_configuration(folder);
  const Installation& installation = Installation::instance();
  must(shell_word(executable), installation.run_environment(configuration));
  const std::vector<nlohmann::json> events = events_of(configuration);
  REQUIRE(events.size() == 2);
  CHECK(events[0].dump().find("\"42\"") != std::string::npos);
  const std::string fault = events[1].dump();
  CHECK_MESSAGE(fault.find("std::out_of_range") != std::string::npos, fault);
  const std::string shown =
      must(fmt::format("{} event {}", shell_word(installation.tool()), events[1].at("id").dump()),
           installation.run_environment(configuration));
  CHECK_MESSAGE(shown.find("third_of") != std::string::npos, shown);
}

void compile_by_pkg_config(const std::string& compiler, std::string_view package,
                           const std::filesystem::path& source, const std::filesystem::path& executable) {
  const Installation& installation = Installation::instance();
  const std::string flags =
      must(fmt::format("pkg-config --cflags --libs {}", package), installation.pkg_config_environment());
  must(fmt::format("{} {} {} -o {} {}", compiler, compiler_flags(), shell_word(source),
                   shell_word(executable), flags.substr(0, flags.find('\n'))));
}

}  // namespace

TEST_CASE("a program built with pkg-config and g++ records through configuration alone and is read back") {
  const TemporaryFolder folder;
  compile_by_pkg_config("g++", "codewake", program("consumer.cpp"), folder / "consumer");
  check_records(folder / "consumer");
}

TEST_CASE(
    "a program built with pkg-config and clang++ records through configuration alone and is read back") {
  if (run("clang++ --version").status != 0) CODEWAKE_SKIP("clang++ is not installed");
  if (!build_setting("CODEWAKE_SANITIZE").empty())
    CODEWAKE_SKIP("the sanitizers of two compilers do not mix");
  const TemporaryFolder folder;
  compile_by_pkg_config("clang++", "codewake", program("consumer.cpp"), folder / "consumer");
  check_records(folder / "consumer");
}

TEST_CASE("a program built with pkg-config makes the SQLite store itself") {
  const TemporaryFolder folder;
  compile_by_pkg_config("g++", "codewake-sqlite", program("direct.cpp"), folder / "direct");
  must(fmt::format("{} sqlite:///{}", shell_word(folder / "direct"), (folder / "direct.sqlite").string()),
       Installation::instance().run_environment(folder.write("empty.conf", "")));
}

TEST_CASE("a test built with pkg-config finds whether its program has races") {
  const TemporaryFolder folder;
  compile_by_pkg_config("g++", "codewake-analysis", program("race_free.cpp"), folder / "race_free");
  const std::string environment = Installation::instance().run_environment(folder.write("empty.conf", ""));
  must(shell_word(folder / "race_free"), environment);
  must(shell_word(folder / "race_free") + " racy", environment);
}

TEST_CASE("the program of the guide to Boost.Stacktrace records the stack that its exception carries") {
  if (!build_setting("CODEWAKE_SANITIZE").empty()) CODEWAKE_SKIP("the sanitizer's own throw is a frame more");
  const std::string guide = read_file(test_data("../../libcodewake/docs/boost_stacktrace.md"));
  constexpr std::string_view kBegin = "```cpp\n";
  const std::size_t begin = guide.find(kBegin) + kBegin.size();
  const TemporaryFolder folder;
  const std::filesystem::path source =
      folder.write("guide.cpp", guide.substr(begin, guide.find("```", begin) - begin));
  compile_by_pkg_config("g++ -g", "codewake", source, folder / "guide");
  const std::filesystem::path configuration = write_configuration(folder);
  const Installation& installation = Installation::instance();
  must(shell_word(folder / "guide"), installation.run_environment(configuration));
  const std::vector<nlohmann::json> events = events_of(configuration);
  REQUIRE(events.size() == 1);
  const std::string shown =
      must(fmt::format("{} event {}", shell_word(installation.tool()), events[0].at("id").dump()),
           installation.run_environment(configuration));
  CAPTURE(shown);
  CHECK(shown.find("exception.type     std::out_of_range\n") != std::string::npos);
  CHECK(shown.find("    0  ship(int)\n") != std::string::npos);
  CHECK(shown.find("    1  main\n") != std::string::npos);
}

TEST_CASE(
    "a program built with find_package records and is read back, and another makes the SQLite store itself") {
  const TemporaryFolder folder;
  const std::string environment =
      fmt::format("CXX=g++ CXXFLAGS={} CMAKE_PREFIX_PATH={}", shell_word(compiler_flags()),
                  shell_word(Installation::instance().in_prefix("")));
  must(fmt::format("cmake -S {} -B {}", shell_word(program("")), shell_word(folder / "build")), environment);
  must(fmt::format("cmake --build {}", shell_word(folder / "build")));
  check_records(folder / "build/consumer");
  must(fmt::format("{} sqlite:///{}", shell_word(folder / "build/direct"),
                   (folder / "direct.sqlite").string()),
       Installation::instance().run_environment(folder.write("empty.conf", "")));
  must(shell_word(folder / "build/race_free"),
       Installation::instance().run_environment(folder.write("empty.conf", "")));
}

TEST_CASE("find_package refuses a version that is not there and an adapter that is not installed") {
  const auto configure = [](std::string_view request) {
    const TemporaryFolder folder;
    folder.write("CMakeLists.txt",
                 fmt::format("cmake_minimum_required(VERSION 3.20)\nproject(refused LANGUAGES CXX)\n"
                             "find_package(codewake {})\n",
                             request));
    return run(fmt::format("cmake -S {} -B {}", shell_word(folder.path()), shell_word(folder / "build")),
               fmt::format("CMAKE_PREFIX_PATH={}", shell_word(Installation::instance().in_prefix(""))));
  };
  CHECK(configure("REQUIRED").status == 0);
  CHECK(configure("99.0 REQUIRED").status != 0);
  const Outcome missing = configure("REQUIRED COMPONENTS parchment");
  CHECK(missing.status != 0);
  CHECK(missing.output.find("the adapter parchment is not installed") != std::string::npos);
}
