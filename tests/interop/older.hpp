// Code Wake for Python itself, installed beside the tests, and programs that are configured by variables
// alone.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "codewake/process.hpp"

namespace codewake::testing {

using Json = nlohmann::json;

/// Environment variables of a program.
using Settings = std::map<std::string, std::string>;

/// Those by which a program of either side records into the database as this app; empty: none.
Settings settings_of(const std::string& dsn, const std::string& app = "", const std::string& vsn = "",
                     const std::string& environment = "");

/// Why Code Wake for Python cannot be had here; empty where it can. The first call of a build folder's life
/// installs it into that folder, from the package index, within two minutes.
const std::string& missing_older();

/// Runs a command of older.py; its answer. Throws std::runtime_error with what it said.
Json run_older(const Settings& settings, const std::string& command, const Json& argument = nullptr);

/// The same without an answer, and without waiting; see child.hpp's wait_for.
pid_t start_older(const Settings& settings, const std::string& command, const Json& argument);

/// Runs `body` in a C++ program of its own, which makes its Process from these settings. Fails the test case
/// where that fails.
void run_ours(const Settings& settings, const std::function<void(Process& process)>& body);

/// Logs `[{"data": [[key, value], …] or null, "raise": true or false}, …]`, as older.py does.
void log_all(Process& process, const Json& events);

/// All that is in the store, in the form of older.py's `read`.
Json seen_by_us(Store& store);

/// Leaves the test case, or the void function, that it stands in, where there is none.
#define CODEWAKE_NEEDS_OLDER()                                                               \
  do {                                                                                       \
    if (const std::string& missing = ::codewake::testing::missing_older(); !missing.empty()) \
      CODEWAKE_SKIP(missing);                                                                \
  } while (false)

}  // namespace codewake::testing
