// `--store` without a password that others can see.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "command_line.hpp"
#include "support/other_user.hpp"
#include "support/sanitizers.hpp"
#include "support/skip.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::kNoPreloading;
using codewake::testing::kOtherUser;
using codewake::testing::kSanitized;
using codewake::testing::why_no_other_user;

namespace {

// What stands between a colon and an @ is taken for a password, also where it is none.
constexpr const char* kDatabase = "a:hush@b.sqlite";

}  // namespace

TEST_CASE("The list of processes shows no password of --store, and one line says that it did") {
  if (kSanitized) CODEWAKE_SKIP(kNoPreloading);
  CommandLine cli;
  cli.set("XDG_RUNTIME_DIR", cli.folder().path().string());
  const std::string show = " -- sh -c 'tr \"\\0\" \" \" < /proc/$PPID/cmdline'";
  for (const std::string option : {"--store '", "--store='"}) {
    CAPTURE(option);
    const ChildResult result = cli.run_shell("codewake run " + option + cli.dsn(kDatabase) + "'" + show);
    CAPTURE(result.out);
    CHECK(result.exit_code == 0);
    CHECK(result.out.find("hush") == std::string::npos);
    CHECK(result.out.find(std::string(cli.dsn(kDatabase).size(), '*')) != std::string::npos);
    CHECK(is_one_complaint(result.err));
    CHECK(result.err.find("env:NAME") != std::string::npos);
    CHECK(result.err.find("hush") == std::string::npos);
  }
}

TEST_CASE("A store without a password stays as it is, and so does what belongs to the program that is run") {
  if (kSanitized) CODEWAKE_SKIP(kNoPreloading);
  CommandLine cli;
  cli.set("XDG_RUNTIME_DIR", cli.folder().path().string());
  const ChildResult result =
      cli.run_shell("codewake run --store " + cli.dsn() +
                    " -- sh -c 'tr \"\\0\" \" \" < /proc/$PPID/cmdline' --store http://u:hush@h/");
  CHECK(result.out.find("--store " + cli.dsn() + " ") != std::string::npos);
  CHECK(result.out.find("--store http://u:hush@h/") != std::string::npos);
  CHECK(result.err.empty());
}

TEST_CASE("--store env:NAME reads a variable") {
  CommandLine cli;
  cli.set("TEST_DSN", cli.dsn());
  CHECK(cli.run_json({"events", "--store", "env:TEST_DSN", "--format", "json"}).size() == 43);
  for (const char* value : {"", static_cast<const char*>(nullptr)}) {
    cli.set("TEST_DSN", value == nullptr ? std::nullopt : std::optional<std::string>(value));
    const ChildResult result = cli.run({"events", "--store", "env:TEST_DSN"});
    CHECK(result.exit_code == 2);
    CHECK(result.err == "codewake: --store: the variable 'TEST_DSN' is not set; set it to the store's DSN\n");
  }
}

TEST_CASE("--store file:PATH reads the first line of a file that others cannot read") {
  CommandLine cli;
  const auto file = cli.folder().write("dsn", cli.dsn() + "\nmore\n");
  const std::string store = "file:" + file.string();
  for (const mode_t mode : {0644, 0640, 0604, 0620, 0602}) {
    REQUIRE(chmod(file.c_str(), mode) == 0);
    const ChildResult result = cli.run({"events", "--store", store});
    CHECK(result.exit_code == 1);
    CHECK(is_one_complaint(result.err));
    CHECK(result.err.find("is open to other users") != std::string::npos);
  }
  REQUIRE(chmod(file.c_str(), 0600) == 0);
  CHECK(cli.run_json({"events", "--store", store, "--format", "json"}).size() == 43);
  CHECK(cli.run_shell("printf '%s' '" + cli.dsn() + "' | codewake apps --store file:/dev/stdin").exit_code ==
        0);
  if (geteuid() == 0) {
    REQUIRE(chown(file.c_str(), kOtherUser, kOtherUser) == 0);
    const ChildResult result = cli.run({"events", "--store", store});
    CHECK(result.err.find("belongs to the user 65534") != std::string::npos);
  }
}

TEST_CASE("A file that will not do is named with what to do") {
  CommandLine cli;
  const std::string folder = cli.folder().path().string();
  CHECK(cli.run({"events", "--store", "file:" + folder + "/none"}).err ==
        "codewake: " + folder + "/none: there is no such file\n");
  CHECK(cli.run({"events", "--store", "file:" + folder}).err ==
        "codewake: " + folder + ": is no file; name a file\n");
  const auto empty = cli.folder().write("empty", "\nsqlite:///x\n");
  REQUIRE(chmod(empty.c_str(), 0600) == 0);
  CHECK(cli.run({"events", "--store", "file:" + empty.string()}).err ==
        "codewake: " + empty.string() + ": has an empty first line; write the secret there\n");
}
