// Which files count that a program finds: those that no other user can have put there.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "codewake/config.hpp"
#include "config/sources.hpp"
#include "support/child.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

using codewake::Config;
using codewake::testing::ChildResult;
using codewake::testing::in_child;
using codewake::testing::kOtherUser;
using codewake::testing::sources;
using codewake::testing::TemporaryFolder;
using codewake::testing::why_no_other_user;
namespace fs = std::filesystem;

namespace {

std::string app_name(const Config& config) {
  return config.app_name.value_or("none");
}

}  // namespace

TEST_CASE("A file that other users can write is passed over, and the next one is read") {
  const TemporaryFolder folder;
  const fs::path open_file = folder.write("open.conf", "app: {name: hostile}\n");
  const fs::path next = folder.write("next.conf", "app: {name: next}\n");
  REQUIRE(chmod(open_file.c_str(), 0666) == 0);
  const ChildResult result = in_child([&] {
    for (int i = 0; i < 3; ++i) {
      const Config config = Config::load(sources({}, {open_file, next}));
      std::cout << app_name(config) << "; " << config.looked_at() << "; " << config.passed_over().at(0)
                << '\n';
    }
  });
  const std::string reason = open_file.string() + " can be written by all users";
  const std::string line = "next; CODE_WAKE_CONFIG (not set), " + open_file.string() +
                           " (passed over: " + reason + "), " + next.string() +
                           " (read), CODE_WAKE_STORE_ADAPTER (not set), CODE_WAKE_STORE_CONFIG (not set); " +
                           open_file.string() + ": " + reason + "\n";
  CHECK(result.out == line + line + line);
  CHECK(result.err == "codewake: the configuration file " + open_file.string() +
                          " is passed over: " + reason +
                          "; only root and this user may be able to write the file and the folders on its "
                          "way. CODE_WAKE_CONFIG can name it all the same\n");
}

TEST_CASE("A file in a folder that other users can write is passed over, unless CODE_WAKE_CONFIG names it") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "open");
  const fs::path file = folder.write("open/code_wake.conf", "app: {name: named}\n");
  REQUIRE(chmod((folder / "open").c_str(), 0777) == 0);
  const ChildResult result = in_child([&] { std::cout << app_name(Config::load(sources({}, {file}))); });
  CHECK(result.out == "none");
  CHECK(app_name(Config::load(sources({{"CODE_WAKE_CONFIG", file}}))) == "named");
}

TEST_CASE("A link is judged by where it lies and where it leads") {
  const TemporaryFolder folder;
  const fs::path target = folder.write("target", "app: {name: target}\n");
  const fs::path link = folder / "link.conf";
  fs::create_symlink("target", link);
  CHECK(app_name(Config::load(sources({}, {link}))) == "target");
  REQUIRE(chmod(target.c_str(), 0666) == 0);
  const ChildResult result = in_child([&] { std::cout << app_name(Config::load(sources({}, {link}))); });
  CHECK(result.out == "none");
}

TEST_CASE("In another user's folder root reads no file, and is not held up by a FIFO") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const TemporaryFolder folder;
  fs::create_directory(folder / "etc");
  const fs::path file = folder.write("etc/code_wake.conf", "app: {name: hostile}\n");
  for (const fs::path& path : {folder.path(), folder / "etc", file})
    REQUIRE(chown(path.c_str(), kOtherUser, kOtherUser) == 0);
  const auto load = [&] {
    return in_child([&] {
      fs::current_path(folder.path());
      const Config config = Config::load(sources({}, {"./etc/code_wake.conf"}));
      std::cout << app_name(config) << config.passed_over().size();
    });
  };
  const std::string line =
      "codewake: the configuration file ./etc/code_wake.conf is passed over: " + folder.path().string() +
      " belongs to the user 65534; ";
  ChildResult result = load();
  CHECK(result.out == "none1");
  CHECK(result.err.starts_with(line));
  REQUIRE(unlink(file.c_str()) == 0);
  REQUIRE(mkfifo(file.c_str(), 0666) == 0);
  result = load();
  CHECK(result.out == "none1");
  CHECK(result.err.starts_with(line));
  REQUIRE(unlink(file.c_str()) == 0);
  result = load();
  CHECK(result.out == "none0");
  CHECK(result.err.empty());
}

TEST_CASE("Another user's file never counts while its folder comes and goes") {
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  const TemporaryFolder folder;
  REQUIRE(chmod(folder.path().c_str(), 01777) == 0);
  fs::create_directory(folder / "hers");
  folder.write("hers/code_wake.conf", "app: {name: hostile}\n");
  REQUIRE(chown((folder / "hers").c_str(), kOtherUser, kOtherUser) == 0);
  const ChildResult result = in_child([&] {
    const pid_t other = codewake::testing::start_child([&] {
      codewake::testing::become_other_user();
      for (int i = 0; i < 20'000; ++i) {
        fs::rename(folder / "hers", folder / "etc");
        fs::rename(folder / "etc", folder / "hers");
      }
      std::_Exit(0);
    });
    int status = 0;
    do {
      const Config config = Config::load(sources({}, {folder / "etc/code_wake.conf"}));
      if (config.app_name) std::cout << *config.app_name << '\n';
    } while (waitpid(other, &status, WNOHANG) == 0);
    if (status != 0) std::cout << "no renaming\n";
  });
  CHECK(result.out.empty());
}
