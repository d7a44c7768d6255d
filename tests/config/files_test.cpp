#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "config/sources.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

using codewake::Config;
using codewake::ConfigError;
using codewake::testing::entry;
using codewake::testing::sources;
using codewake::testing::TemporaryFolder;

TEST_CASE("The first file that exists is read, and no other") {
  const TemporaryFolder folder;
  const auto second = folder.write("second.conf", "app: {name: second}\n");
  const auto third = folder.write("third.conf", "app: {name: third, vsn: '3'}\n");
  const Config config = Config::load(sources({}, {folder / "first.conf", second, third}));
  CHECK(config.app_name == "second");
  CHECK_FALSE(config.app_vsn.has_value());
  CHECK(config.file() == second);
  CHECK(entry(config, "app.name").origin == second.string() + ":1");
  CHECK(config.looked_at() ==
        "CODE_WAKE_CONFIG (not set), " + (folder / "first.conf").string() + " (no such file), " +
            second.string() + " (read), CODE_WAKE_STORE_ADAPTER (not set), CODE_WAKE_STORE_CONFIG (not set)");
}

TEST_CASE("A file below something that is no folder does not exist") {
  const TemporaryFolder folder;
  const auto file = folder.write("file", "");
  CHECK(Config::load(sources({}, {file / "code_wake.conf"})).file().empty());
}

TEST_CASE("Without any file the variables are enough") {
  const Config config = Config::load(sources({{"CODE_WAKE_STORE_ADAPTER", "m,C"}}));
  CHECK(config.file().empty());
  CHECK(config.store.class_name == "C");
  CHECK(config.looked_at() ==
        "CODE_WAKE_CONFIG (not set), CODE_WAKE_STORE_ADAPTER (set), CODE_WAKE_STORE_CONFIG (not set)");
}

TEST_CASE("The usual files are looked for where nothing else is said") {
  const Config::Sources usual;
  REQUIRE(usual.files.size() == 2);
  CHECK(usual.files[0] == "/etc/code_wake.conf");
  CHECK(usual.files[1] == "./etc/code_wake.conf");
}

TEST_CASE("The variable names the file instead of all others") {
  const TemporaryFolder folder;
  const auto usual = folder.write("usual.conf", "app: {name: usual}\n");
  const auto named = folder.write("named.conf", "app: {vsn: '1'}\n");
  const Config config = Config::load(sources({{"CODE_WAKE_CONFIG", named}}, {usual}));
  CHECK(config.file() == named);
  CHECK(config.app_vsn == "1");
  CHECK_FALSE(config.app_name.has_value());
  CHECK(config.looked_at() == "CODE_WAKE_CONFIG (" + named.string() +
                                  "), CODE_WAKE_STORE_ADAPTER (not set), CODE_WAKE_STORE_CONFIG (not set)");
}

TEST_CASE("The variable set to nothing means no file") {
  const TemporaryFolder folder;
  const auto usual = folder.write("usual.conf", "app: {name: usual}\n");
  const Config config = Config::load(sources({{"CODE_WAKE_CONFIG", ""}}, {usual}));
  CHECK(config.file().empty());
  CHECK_FALSE(config.app_name.has_value());
  CHECK(config.looked_at() ==
        "CODE_WAKE_CONFIG (set to nothing: no file), CODE_WAKE_STORE_ADAPTER (not set), "
        "CODE_WAKE_STORE_CONFIG (not set)");
}

TEST_CASE(
    "A file that the variable names and that is not there is an error, whatever other files there are") {
  const TemporaryFolder folder;
  const auto usual = folder.write("usual.conf", "app: {name: usual}\n");
  const std::string missing = (folder / "missing.conf").string();
  CHECK_THROWS_WITH_AS(
      Config::load(sources({{"CODE_WAKE_CONFIG", missing}}, {usual})),
      (missing + ": there is no such file; correct or unset CODE_WAKE_CONFIG, which names it").c_str(),
      ConfigError);
}

TEST_CASE("A folder is no configuration") {
  const TemporaryFolder folder;
  const std::string message = folder.path().string() + ": is a folder; put a file in its place";
  CHECK_THROWS_WITH_AS(Config::load(sources({{"CODE_WAKE_CONFIG", folder.path()}})), message.c_str(),
                       ConfigError);
  CHECK_THROWS_WITH_AS(Config::load(sources({}, {folder.path()})), message.c_str(), ConfigError);
}

TEST_CASE("A file that may not be read is an error, not a reason to look further") {
  const TemporaryFolder folder;
  const auto closed = folder.write("closed.conf", "app: {name: closed}\n");
  const auto next = folder.write("next.conf", "");
  REQUIRE(chmod(closed.c_str(), 0) == 0);
  const bool is_root = geteuid() == 0;  // who may read everything: for the moment somebody else
  if (is_root && seteuid(65534) != 0) CODEWAKE_SKIP("root cannot become another user here");
  CHECK_THROWS_WITH_AS(
      Config::load(sources({}, {closed, next})),
      (closed.string() + ": cannot be read: Permission denied; make it readable for this user").c_str(),
      ConfigError);
  if (is_root) REQUIRE(seteuid(0) == 0);
}

TEST_CASE("A link that leads back to itself is an error") {
  const TemporaryFolder folder;
  const auto link = folder / "loop.conf";
  std::filesystem::create_symlink(link, link);
  CHECK_THROWS_WITH_AS(
      Config::load(sources({}, {link})),
      (link.string() + ": cannot be read: Too many levels of symbolic links; make it readable for this user")
          .c_str(),
      ConfigError);
}

TEST_CASE("A file may have 1 MiB and not a byte more") {
  const TemporaryFolder folder;
  std::string text = "app: {name: a}\n";
  text.resize(1 << 20, '\n');
  CHECK(Config::load(sources({}, {folder.write("most.conf", text)})).app_name == "a");
  const auto file = folder.write("more.conf", text + "\n");
  CHECK_THROWS_WITH_AS(Config::load(sources({}, {file})),
                       (file.string() + ": is longer than 1 MiB; is it a configuration?").c_str(),
                       ConfigError);
  CHECK_THROWS_WITH_AS(Config::load(sources({{"CODE_WAKE_CONFIG", "/dev/zero"}})),
                       "/dev/zero: is longer than 1 MiB; is it a configuration?", ConfigError);
  CHECK_THROWS_WITH_AS(Config::parse(text + "\n", "text"),
                       "text: is longer than 1 MiB; is it a configuration?", ConfigError);
}

TEST_CASE("An empty device is an empty configuration") {
  CHECK_FALSE(Config::load(sources({{"CODE_WAKE_CONFIG", "/dev/null"}})).store.adapter.has_value());
}
