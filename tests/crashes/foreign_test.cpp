// `codewake run` and programs of other compilers, sanitizers, C libraries and C++ runtimes.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "crashes/dying.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

constexpr const char* kNotBuilt = "there is no compiler for it here";

struct Foreign {
  const char* name;
  const char* problem;  // empty: it is recorded
};

constexpr Foreign kForeign[] = {{"foreign_asan", "runs under a sanitizer"},
                                {"foreign_tsan", "runs under a sanitizer"},
                                {"foreign_asan_clang", "runs under a sanitizer"},
                                {"foreign_musl", "uses another C library than glibc"},
                                {"foreign_32", "is a program for another processor"},
                                {"foreign_libcxx", ""},
                                {"foreign_libstdcxx_static", ""}};

bool is_built(const char* name) {
  return std::filesystem::exists(program(name));
}

ChildResult run_foreign(const Deathbed& bed, const std::vector<std::string>& words) {
  const ChildResult result = bed.run(words);
  CAPTURE(words.back());
  CAPTURE(result.err);
  CHECK(result.exit_code == 5);
  CHECK(result.out == "caught\n");
  return result;
}

}  // namespace

TEST_CASE("codewake run: a program of any kind runs as if alone, and one line says what is not recorded") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  for (const Foreign& one : kForeign) {
    if (!is_built(one.name)) {
      MESSAGE(std::string(one.name), ": ", std::string(kNotBuilt));
      continue;
    }
    const Deathbed bed;
    const std::string problem = one.problem;
    const ChildResult result = run_foreign(bed, watched({program(one.name)}));
    CHECK(std::ranges::count(result.err, '\n') == (problem.empty() ? 0 : 1));
    CHECK(result.err.find(problem) != std::string::npos);
    CHECK(run_foreign(bed, watched({program(one.name)}, {"--throws"})).err.find(problem) !=
          std::string::npos);
  }
}

TEST_CASE("codewake run: whatever starts it, a descendant of any kind runs as if alone") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  for (const Foreign& one : kForeign) {
    if (!is_built(one.name)) continue;
    const Deathbed bed;
    for (const char* how : {"execv", "execlp", "vfork", "system"}) {
      CAPTURE(how);
      CHECK(run_foreign(bed, watched({program("unchanged"), "start", how, program(one.name)})).err == "");
    }
    const TemporaryFolder folder;
    const std::filesystem::path script =
        folder.write("script", "#!/bin/sh\n" + program(one.name).string() + "\n");
    chmod(script.c_str(), 0700);
    CHECK(run_foreign(bed, watched({script.string()})).err == "");
  }
}

TEST_CASE("codewake run: a script of an interpreter that cannot be watched starts, and the line says so") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  if (!is_built("foreign_asan")) CODEWAKE_SKIP(kNotBuilt);
  const Deathbed bed;
  const TemporaryFolder folder;
  const std::filesystem::path script = folder.write("script", "#!" + program("foreign_asan").string() + "\n");
  chmod(script.c_str(), 0700);
  CHECK(run_foreign(bed, watched({script.string()})).err.find("runs under a sanitizer") != std::string::npos);
  CHECK(run_foreign(bed, watched({program("unchanged"), "start", "execv", script.string()})).err == "");
}

TEST_CASE("codewake run: of an exception of libc++ the type is recorded, and nothing of it is called") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  if (!is_built("foreign_libcxx")) CODEWAKE_SKIP(kNotBuilt);
  const Deathbed bed;
  CHECK(bed.run(watched({program("foreign_libcxx"), "throw"})).signal == SIGABRT);
  const auto crashes = bed.crashes();
  REQUIRE(crashes.size() == 1);
  CHECK(value(crashes[0], "exception.type") == "Unknown");
  CHECK(value(crashes[0], "exception.message") == "");
  CHECK(std::ranges::any_of(crashes[0].frames, [](const Frame& frame) {
    return frame.function.find("throw_one") != std::string::npos;
  }));
}

TEST_CASE("codewake run: the preloaded library needs nothing but a C library") {
  if (variants().empty()) CODEWAKE_SKIP(kNoPreloading);
  const Deathbed bed;
  const ChildResult result =
      bed.run(watched({"/bin/sh", "-c", "LD_DEBUG=libs exec /bin/true 2>&1 | grep -c libstdc"}));
  CHECK(result.out == "0\n");
}

}  // namespace codewake::testing
