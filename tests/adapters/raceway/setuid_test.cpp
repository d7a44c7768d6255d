// What the user who starts a setuid program can make libcurl do in it: nothing.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

namespace fs = std::filesystem;

TEST_CASE("In a setuid program without a Raceway server, a request obeys no variable of another user") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms(0755));
  const char* const built = std::getenv("CODEWAKE_SETUID_REQUEST");
  REQUIRE(built != nullptr);
  const std::string program = (folder / "setuid").string();
  fs::copy_file(built, program);
  REQUIRE(chmod(program.c_str(), 04755) == 0);
  for (const char* variable : {"http_proxy", "ALL_PROXY", "SSLKEYLOGFILE"}) {
    const ChildResult result = as_other_user([&] {
      setenv(variable, "/nowhere", 1);
      execl(program.c_str(), program.c_str(), "http://127.0.0.1:1/", nullptr);
      throw std::system_error(errno, std::generic_category(), program);
    });
    CAPTURE(result.out);
    CAPTURE(result.err);
    if (!result.out.starts_with("secure: 1\n"))
      CODEWAKE_SKIP("setuid means nothing on this file system (nosuid)");
    CHECK(result.out.find(std::string("would obey the variable ") + variable) != std::string::npos);
  }
}

}  // namespace
}  // namespace codewake::testing
