// `codewake config` and `plugins`, and how every command finds its store.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "command_line.hpp"

using codewake::testing::ChildResult;
using codewake::testing::CommandLine;
using codewake::testing::is_one_complaint;
using codewake::testing::lines_of;
using nlohmann::json;

namespace {

/// The entry of `codewake config --format json` with this key; null where there is none.
json entry_of(const json& config, const std::string& key) {
  for (const json& entry : config["entries"]) {
    if (entry["key"] == key) return entry;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("config shows values with where they come from, and no password") {
  CommandLine cli;
  cli.configure(
      "store: {adapter: \"code_wake_postgres_store,PostgresStore\", config: "
      "\"postgresql://shop:secret@db/wake\"}\n"
      "environment: {name: production}\n"
      "other_program: {key: value}\n");
  cli.set("CODE_WAKE_APP_NAME", "shop");
  const json config = cli.run_json({"config", "--format", "json"});
  CHECK(config["file"] == (cli.folder() / "code_wake.conf").string());
  CHECK(config["foreign_sections"] == json::parse(R"(["other_program"])"));
  CHECK_FALSE(config["plugin_folders"].empty());
  CHECK(entry_of(config, "environment.name")["value"] == "production");
  CHECK(entry_of(config, "environment.name")["origin"] == (cli.folder() / "code_wake.conf").string() + ":2");
  CHECK(entry_of(config, "app.name")["origin"] == "CODE_WAKE_APP_NAME");
  CHECK(entry_of(config, "stacktraces.max_frames")["origin"] == "default");
  CHECK(config.dump().find("secret") == std::string::npos);

  const ChildResult table = cli.run({"config"});
  CHECK(table.exit_code == 0);
  CHECK(table.out.starts_with("KEY "));
  CHECK(table.out.find("\nFile: " + (cli.folder() / "code_wake.conf").string() + "\n") != std::string::npos);
  CHECK(table.out.find("\nSections of other programs: other_program\n") != std::string::npos);
  CHECK(table.out.find("\nPlugin folders: ") != std::string::npos);
  CHECK(table.out.find("secret") == std::string::npos);
}

TEST_CASE("config works where nothing is configured") {
  CommandLine cli;
  cli.configure("");
  const ChildResult result = cli.run({"config"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
  CHECK(lines_of(cli.run({"config", "--format", "ndjson"}).out).size() ==
        cli.run_json({"config", "--format", "json"})["entries"].size());
}

TEST_CASE("A broken configuration is one line with the place, and a failure of every command") {
  CommandLine cli;
  cli.configure("store:\n  adaptor: x\n");
  for (const char* command : {"config", "plugins", "events", "processes", "apps", "exceptions", "log"}) {
    CAPTURE(command);
    const ChildResult result = cli.run({command});
    CHECK(result.exit_code == 1);
    CHECK(result.out.empty());
    CHECK(is_one_complaint(result.err));
    CHECK(result.err.find("code_wake.conf:2:3") != std::string::npos);
  }
}

TEST_CASE("Without a store the commands say where one may be configured") {
  CommandLine cli;
  cli.configure("");
  for (const char* command : {"events", "processes", "apps", "exceptions", "log"}) {
    CAPTURE(command);
    const ChildResult result = cli.run({command});
    CHECK(result.exit_code == 1);
    CHECK(is_one_complaint(result.err));
    CHECK(result.err.find("no store is configured") != std::string::npos);
    CHECK(result.err.find("code_wake.conf") != std::string::npos);
    CHECK(result.err.find("CODE_WAKE_STORE_ADAPTER") != std::string::npos);
    CHECK(result.err.find("--store") != std::string::npos);
  }
}

TEST_CASE("--store goes before what is configured") {
  CommandLine cli;
  cli.configure("store: {adapter: \"code_wake_none_store,NoneStore\", config: \"none://\"}\n");
  CHECK(cli.run({"events"}).exit_code == 1);
  CHECK(cli.run_json({"events", "--store", cli.dsn(), "--format", "json"}).size() == 43);
  CHECK(cli.run_json({"events", "--store", cli.dsn(), "--adapter", "code_wake_sqlite_store,SqliteStore",
                      "--format", "json"})
            .size() == 43);
}

TEST_CASE("--adapter goes before the adapter that is configured, and keeps its parameters") {
  CommandLine cli;
  cli.configure("store: {adapter: \"code_wake_none_store,NoneStore\", config: \"" + cli.dsn() + "\"}\n");
  CHECK(cli.run_json({"events", "--adapter", "code_wake_sqlite_store,SqliteStore", "--format", "json"})
            .size() == 43);
}

TEST_CASE("A store that queues is read through the one that does not") {
  CommandLine cli;
  cli.set("CODE_WAKE_STORE_ADAPTER", "code_wake_sqlite_store,SqliteQueueStore");
  CHECK(cli.run_json({"events", "--format", "json"}).size() == 43);
}

TEST_CASE("A DSN that names no known store is used wrongly, and says which there are") {
  const CommandLine cli;
  for (const char* dsn : {"nonsense", "mysql://db/wake", "sqlite", ":"}) {
    CAPTURE(dsn);
    const ChildResult result = cli.run({"events", "--store", dsn});
    CHECK(result.exit_code == 2);
    CHECK(is_one_complaint(result.err));
    CHECK(result.err.find("sqlite:///FILE") != std::string::npos);
    CHECK(result.err.find("--adapter") != std::string::npos);
  }
}

TEST_CASE("An adapter that is not there is a failure that names it") {
  const CommandLine cli;
  const ChildResult result = cli.run({"events", "--adapter", "code_wake_none_store,NoneStore"});
  CHECK(result.exit_code == 1);
  CHECK(is_one_complaint(result.err));
  CHECK(result.err.find("code_wake_none_store") != std::string::npos);
}

TEST_CASE("plugins lists the adapters with their classes, and names a file that is none") {
  CommandLine cli;
  cli.folder().write("libbroken_store.so", "not a shared object");
  const char* const built = std::getenv("CODE_WAKE_PLUGIN_PATH");
  REQUIRE(built != nullptr);
  cli.set("CODE_WAKE_PLUGIN_PATH", std::string(built) + ":" + cli.folder().path().string());
  const json plugins = cli.run_json({"plugins", "--format", "json"});
  std::set<std::string> good;
  bool broken = false;
  for (const json& plugin : plugins) {
    if (plugin["problem"].is_null()) good.insert(plugin["class"].get<std::string>());
    broken = broken || (plugin["module"] == "broken_store" && plugin["class"].is_null() &&
                        !plugin["problem"].is_null());
  }
  CHECK(good.contains("SqliteStore"));
  CHECK(good.contains("SqliteQueueStore"));
  const bool has_postgres = std::string(built).find("postgres") != std::string::npos;
  CHECK(good.contains("PostgresStore") == has_postgres);
  CHECK(good.contains("PostgresQueueStore") == has_postgres);
  const bool has_sql14 = std::string(built).find("sql14") != std::string::npos;
  CHECK(good.contains("Sql14Store") == has_sql14);
  CHECK(good.contains("Sql14QueueStore") == has_sql14);
  CHECK(broken);
  CHECK(cli.run({"plugins"}).out.starts_with("MODULE "));
}
