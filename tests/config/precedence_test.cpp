#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "config/sources.hpp"
#include "support/temporary_folder.hpp"

using codewake::Config;
using codewake::ConfigError;
using codewake::testing::entry;
using codewake::testing::sources;
using codewake::testing::TemporaryFolder;
using codewake::testing::Variables;
using codewake::testing::yaml_of;

namespace {

// One line for each key: how it is written in the file and in its variable, and how it then shows.
struct Row {
  const char* key;
  const char* variable;
  const char* shown_default;
  const char* in_file;
  const char* shown_file;
  const char* in_variable;
  const char* shown_variable;
};

const std::vector<Row> kRows = {
    {"store.adapter", "CODE_WAKE_STORE_ADAPTER", "", "'a,B'", "a,B", "c,D", "c,D"},
    {"store.config", "CODE_WAKE_STORE_CONFIG", "", "'x:///1,k=v'", "x:///1,k=v", "x:///2,w=%2C",
     "x:///2,w=%2C"},
    {"environment.name", "CODE_WAKE_ENVIRONMENT", "", "production", "production", "test", "test"},
    {"app.name", "CODE_WAKE_APP_NAME", "", "shop", "shop", "cart", "cart"},
    {"app.vsn", "CODE_WAKE_APP_VSN", "", "1.10", "1.10", "2.0", "2.0"},
    {"stacktraces.include.from_exceptions", "CODE_WAKE_ST_FROM_EXCEPTIONS", "true", "false", "false", "true",
     "true"},
    {"stacktraces.include.for_non_exceptions", "CODE_WAKE_ST_FOR_NON_EXCEPTIONS", "false", "true", "true",
     "false", "false"},
    {"stacktraces.max_frames", "CODE_WAKE_ST_MAX_FRAMES", "64", "1", "1", "128", "128"},
    {"queue.journal", "CODE_WAKE_QUEUE_JOURNAL", "", "/j", "/j", "memory", "memory"},
    {"queue.limit", "CODE_WAKE_QUEUE_LIMIT", "1GiB", "1MiB", "1MiB", "10MB", "10000000"},
    {"queue.when_full", "CODE_WAKE_QUEUE_WHEN_FULL", "drop_newest", "block", "block", "drop_newest",
     "drop_newest"},
    {"queue.durability", "CODE_WAKE_QUEUE_DURABILITY", "process", "machine", "machine", "process", "process"},
    {"queue.batch", "CODE_WAKE_QUEUE_BATCH", "1000", "1", "1", "1000000", "1000000"},
    {"queue.interval", "CODE_WAKE_QUEUE_INTERVAL", "100ms", "100us", "100us", "1h", "1h"},
    {"queue.exit_timeout", "CODE_WAKE_QUEUE_EXIT_TIMEOUT", "5s", "0", "0s", "1.5s", "1500ms"},
    {"crashes.signals", "CODE_WAKE_CRASHES_SIGNALS", "true", "false", "false", "true", "true"},
    {"crashes.uncaught", "CODE_WAKE_CRASHES_UNCAUGHT", "true", "false", "false", "true", "true"},
    {"tracing.endpoint", "CODE_WAKE_TRACING_ENDPOINT", "", "http://h:1", "http://h:1", "http://u:p@h",
     "http://u:***@h"},
    {"tracing.service_name", "CODE_WAKE_TRACING_SERVICE_NAME", "", "s", "s", "t", "t"},
    {"tracing.instance_id", "CODE_WAKE_TRACING_INSTANCE_ID", "", "i", "i", "j", "j"},
    {"tracing.environment", "CODE_WAKE_TRACING_ENVIRONMENT", "", "e", "e", "f", "f"},
    {"tracing.batch_size", "CODE_WAKE_TRACING_BATCH_SIZE", "50", "1", "1", "10000", "10000"},
    {"tracing.flush_interval", "CODE_WAKE_TRACING_FLUSH_INTERVAL", "1s", "0.001", "1ms", "60s", "1m"},
    {"tracing.api_key", "CODE_WAKE_TRACING_API_KEY", "", "hush", "***", "hush2", "***"},
    {"tracing.debug", "CODE_WAKE_TRACING_DEBUG", "false", "true", "true", "false", "false"},
    {"plugins.path", "CODE_WAKE_PLUGIN_PATH", "", "[/a, /b]", "[/a, /b]", "/c:/d", "[/c, /d]"},
};

bool is_optional(const Row& row) {
  return std::string(row.shown_default).empty();
}

}  // namespace

TEST_CASE("The rows of this test are the keys of the configuration, in their order") {
  const Config config = Config::load(sources({}));
  REQUIRE(config.entries().size() == kRows.size());
  for (std::size_t i = 0; i < kRows.size(); ++i) CHECK(config.entries()[i].key == kRows[i].key);
}

TEST_CASE("A key that is set nowhere has its default") {
  const Config config = Config::load(sources({}));
  for (const Row& row : kRows) {
    CAPTURE(row.key);
    CHECK(entry(config, row.key).value == row.shown_default);
    CHECK(entry(config, row.key).origin == "default");
  }
}

TEST_CASE("The file overrides the default of each key, and of no other") {
  for (const Row& row : kRows) {
    const Config config = Config::parse("\n" + yaml_of(row.key, row.in_file), "shop.conf");
    for (const Row& other : kRows) {
      CAPTURE(row.key);
      CAPTURE(other.key);
      CHECK(entry(config, other.key).value == (row.key == other.key ? row.shown_file : other.shown_default));
      CHECK(entry(config, other.key).origin == (row.key == other.key ? "shop.conf:2" : "default"));
    }
  }
}

TEST_CASE("Its variable sets each key, and no other") {
  for (const Row& row : kRows) {
    const Config config = Config::load(sources({{row.variable, row.in_variable}}));
    for (const Row& other : kRows) {
      CAPTURE(row.key);
      CAPTURE(other.key);
      CHECK(entry(config, other.key).value ==
            (row.key == other.key ? row.shown_variable : other.shown_default));
      CHECK(entry(config, other.key).origin == (row.key == other.key ? row.variable : "default"));
    }
  }
}

TEST_CASE("Its variable wins over the file for each key but the plugins' folders, which it precedes") {
  const TemporaryFolder folder;
  for (const Row& row : kRows) {
    CAPTURE(row.key);
    const auto file = folder.write("code_wake.conf", yaml_of(row.key, row.in_file));
    const Config config = Config::load(sources({{row.variable, row.in_variable}}, {file}));
    if (std::string(row.key) == "plugins.path") {
      CHECK(entry(config, row.key).value == "[/c, /d, /a, /b]");
      CHECK(entry(config, row.key).origin == "CODE_WAKE_PLUGIN_PATH, " + file.string() + ":1");
    } else {
      CHECK(entry(config, row.key).value == row.shown_variable);
      CHECK(entry(config, row.key).origin == row.variable);
    }
  }
}

TEST_CASE("A variable that is set to nothing unsets an optional key and is an error for another") {
  const TemporaryFolder folder;
  for (const Row& row : kRows) {
    CAPTURE(row.key);
    const auto file = folder.write("code_wake.conf", yaml_of(row.key, row.in_file));
    const Config::Sources given = sources({{row.variable, ""}}, {file});
    if (!is_optional(row)) {
      CHECK_THROWS_AS(Config::load(given), ConfigError);
    } else if (std::string(row.key) == "plugins.path") {
      CHECK(Config::load(given).plugin_path == std::vector<std::filesystem::path>{"/a", "/b"});
    } else {
      CHECK(entry(Config::load(given), row.key).value.empty());
      CHECK(entry(Config::load(given), row.key).origin == row.variable);
    }
  }
}

TEST_CASE("A null, however it is written, is as good as no key") {
  for (const Row& row : kRows) {
    for (const char* null : {"null", "Null", "NULL", "~", ""}) {
      CAPTURE(row.key);
      CAPTURE(null);
      const Config config = Config::parse(yaml_of(row.key, null), "shop.conf");
      CHECK(entry(config, row.key).value == row.shown_default);
      CHECK(entry(config, row.key).origin == "default");
    }
  }
}

TEST_CASE("The older SDK's variables count where nothing else sets the key") {
  const TemporaryFolder folder;
  const auto file = folder.write("code_wake.conf", "tracing: {instance_id: of-file, api_key: of-file}\n");
  const Variables older = {{"RACEWAY_INSTANCE_ID", "older"}, {"RACEWAY_API_KEY", "older-key"}};

  const Config alone = Config::load(sources(older));
  CHECK(alone.tracing.instance_id == "older");
  CHECK(alone.tracing.api_key == "older-key");
  CHECK(entry(alone, "tracing.instance_id").origin == "RACEWAY_INSTANCE_ID");
  CHECK(entry(alone, "tracing.api_key").origin == "RACEWAY_API_KEY");
  CHECK(entry(alone, "tracing.api_key").value == "***");

  const Config with_file = Config::load(sources(older, {file}));
  CHECK(with_file.tracing.instance_id == "of-file");
  CHECK(with_file.tracing.api_key == "of-file");

  Variables both = older;
  both["CODE_WAKE_TRACING_INSTANCE_ID"] = "ours";
  both["CODE_WAKE_TRACING_API_KEY"] = "";
  const Config with_both = Config::load(sources(both));
  CHECK(with_both.tracing.instance_id == "ours");
  CHECK_FALSE(with_both.tracing.api_key.has_value());
}
