#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "config/sources.hpp"

using codewake::Config;
using codewake::ConfigError;
using codewake::testing::sources;

namespace {

// What parsing the text says; empty where it says nothing.
std::string error_of(std::string_view yaml) {
  try {
    Config::parse(yaml, "x.conf");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

std::string error_of_variable(const char* name, const char* value) {
  try {
    Config::load(sources({{name, value}}));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

struct Case {
  std::string yaml;
  std::string error;
};

void check(const std::vector<Case>& cases) {
  for (const Case& each : cases) {
    CAPTURE(each.yaml);
    CHECK(error_of(each.yaml) == each.error);
  }
}

}  // namespace

TEST_CASE("An error knows its place") {
  try {
    Config::parse("\nstore:\n  adapter: none\n", "x.conf");
    FAIL("nothing was thrown");
  } catch (const ConfigError& error) {
    CHECK(error.place().source == "x.conf");
    CHECK(error.place().line == 3);
    CHECK(error.place().column == 12);
    CHECK(error.place().key == "store.adapter");
  }
  try {
    Config::load(sources({{"CODE_WAKE_QUEUE_BATCH", "many"}}));
    FAIL("nothing was thrown");
  } catch (const ConfigError& error) {
    CHECK(error.place().source == "CODE_WAKE_QUEUE_BATCH");
    CHECK(error.place().line == 0);
    CHECK(error.place().key == "queue.batch");
  }
}

TEST_CASE("An unknown key in a known section is an error that suggests the nearest") {
  check({
      {"store: {adaptor: a}", "x.conf:1:9: store.adaptor: unknown key; did you mean store.adapter?"},
      {"app:\n  Name: a", "x.conf:2:3: app.Name: unknown key; did you mean app.name?"},
      {"app: {version: a}", "x.conf:1:7: app.version: unknown key; the keys here are name, vsn"},
      {"stacktraces: {from_exceptions: true}",
       "x.conf:1:15: stacktraces.from_exceptions: unknown key; did you mean "
       "stacktraces.include.from_exceptions?"},
      {"stacktraces: {inlcude: {}}",
       "x.conf:1:15: stacktraces.inlcude: unknown key; did you mean stacktraces.include?"},
      {"stacktraces: {depth: 1}",
       "x.conf:1:15: stacktraces.depth: unknown key; the keys here are include, max_frames"},
      {"stacktraces: {include: {from_exception: true}}",
       "x.conf:1:25: stacktraces.include.from_exception: unknown key; did you mean "
       "stacktraces.include.from_exceptions?"},
      {"stacktraces: {include: {all: true}}",
       "x.conf:1:25: stacktraces.include.all: unknown key; the keys here are from_exceptions, "
       "for_non_exceptions"},
      {"queue: {batchsize: 1}",
       "x.conf:1:9: queue.batchsize: unknown key; the keys here are journal, limit, when_full, durability, "
       "batch, "
       "interval, exit_timeout"},
      {"app: {\"a\\nb\": 1}", "x.conf:1:7: app.a\\x0ab: unknown key; the keys here are name, vsn"},
      {"app: {" + std::string(300, 'x') + ": 1}",
       "x.conf:1:7: app." + std::string(196, 'x') + "…: unknown key; the keys here are name, vsn"},
  });
}

TEST_CASE("A key or a section that stands twice is an error") {
  check({
      {"app: {name: a, name: b}",
       "x.conf:1:16: app.name: the key stands here a second time; remove one of them"},
      {"app: {name: a}\napp: {vsn: b}",
       "x.conf:2:1: app: the key stands here a second time; remove one of them"},
      {"stacktraces:\n  include: {}\n  include: {}",
       "x.conf:3:3: stacktraces.include: the key stands here a second time; remove one of them"},
      {"app: {name: ~, name: b}",
       "x.conf:1:16: app.name: the key stands here a second time; remove one of them"},
  });
}

TEST_CASE("What is no map where sections or keys should be is an error") {
  const std::string sections = " does not fit; write sections with keys, such as store: {adapter: …}";
  check({
      {"text", "x.conf:1:1: 'text'" + sections},
      {"[a]", "x.conf:1:1: a list" + sections},
      {"environment: production",
       "x.conf:1:14: environment: 'production' does not fit; write keys with values; the keys here are name"},
      {"store: postgresql://u:hush@h/d",
       "x.conf:1:8: store: 'postgresql://u:***@h/d' does not fit; write keys with values; the keys here are "
       "adapter, "
       "config"},
      {"app: [name]",
       "x.conf:1:6: app: a list does not fit; write keys with values; the keys here are name, vsn"},
      {"stacktraces: {include: true}",
       "x.conf:1:24: stacktraces.include: 'true' does not fit; write keys with values; the keys here are "
       "from_exceptions, for_non_exceptions"},
      {"? [a]\n: b", "x.conf:1:3: a key must be text; write a name before the colon"},
      {"app: {~: b}", "x.conf:1:7: app: a key must be text; write a name before the colon"},
  });
}

TEST_CASE("A value of the wrong kind is an error that says what may be written") {
  check({
      {"app: {name: {}}", "x.conf:1:13: app.name: a map does not fit; write text, in quotes if need be"},
      {"app: {name: [a]}", "x.conf:1:13: app.name: the list does not fit; write text, in quotes if need be"},
      {"app: {name: True}", "x.conf:1:13: app.name: 'True' is a boolean; write text, in quotes if need be"},
      {"app: {name: \"a\\0b\"}", "x.conf:1:13: app.name: the text holds a NUL character; remove it"},
      {"app: {name: !env NAME}", "x.conf:1:13: app.name: the tag '!env' means nothing here; remove it"},
      {"app: {name: !!binary aGk=}",
       "x.conf:1:13: app.name: the tag 'tag:yaml.org,2002:binary' means nothing here; remove it"},
      {"crashes: {signals: yes}",
       "x.conf:1:20: crashes.signals: 'yes' is not a boolean; write true or false"},
      {"crashes: {signals: 1}", "x.conf:1:20: crashes.signals: '1' is not a boolean; write true or false"},
      {"crashes: {signals: tRUE}",
       "x.conf:1:20: crashes.signals: 'tRUE' is not a boolean; write true or false"},
      {"crashes: {signals: 'true'}",
       "x.conf:1:20: crashes.signals: 'true' is in quotes; write true or false"},
      {"crashes: {signals: [true]}",
       "x.conf:1:20: crashes.signals: the list does not fit; write true or false"},
      {"crashes: {signals: {}}", "x.conf:1:20: crashes.signals: a map does not fit; write true or false"},
      {"queue: {when_full: wait}",
       "x.conf:1:20: queue.when_full: 'wait' is none of the choices; write drop_newest or block"},
      {"queue: {durability: disk}",
       "x.conf:1:21: queue.durability: 'disk' is none of the choices; write process or machine"},
      {"plugins: {path: /p}",
       "x.conf:1:17: plugins.path: '/p' does not fit; write a list of folders, such as [/opt/acme/codewake]"},
      {"plugins: {path: [/p, '']}",
       "x.conf:1:17: plugins.path: the list has an empty name; write a list of folders, such as "
       "[/opt/acme/codewake]"},
      {"plugins: {path: [[/p]]}", "x.conf:1:18: plugins.path: a list does not fit in a list; write text"},
      {"plugins: {path: [~]}", "x.conf:1:18: plugins.path: null does not fit in a list; write text"},
      {"plugins: {path: {a: b}}",
       "x.conf:1:17: plugins.path: a map does not fit; write a list of folders, such as "
       "[/opt/acme/codewake]"},
      {"tracing: {api_key: [hush]}",
       "x.conf:1:20: tracing.api_key: the list does not fit; write text, in quotes if need be"},
      {"tracing: {api_key: true}",
       "x.conf:1:20: tracing.api_key: the value is a boolean; write text, in quotes if need be"},
      {"app: {<<: {name: a}}", "x.conf:1:7: app.<<: merge keys are not understood; write the keys out"},
      {"<<: {app: {name: a}}", "x.conf:1:1: <<: merge keys are not understood; write the keys out"},
  });
}

TEST_CASE("A number outside of its bounds, or none at all, is an error that names the bounds") {
  const std::string frames = "; write a whole number from 1 to 128";
  const std::string limit = "; write a size from 1MiB to 1EiB, such as 64MiB";
  const std::string interval = "; write a duration from 100us to 1h, such as 100ms or 5s";
  check({
      {"stacktraces: {max_frames: 0}", "x.conf:1:27: stacktraces.max_frames: '0' is too small" + frames},
      {"stacktraces: {max_frames: 1}", ""},
      {"stacktraces: {max_frames: 128}", ""},
      {"stacktraces: {max_frames: 129}", "x.conf:1:27: stacktraces.max_frames: '129' is too large" + frames},
      {"stacktraces: {max_frames: 99999999999999999999}",
       "x.conf:1:27: stacktraces.max_frames: '99999999999999999999' is too large" + frames},
      {"stacktraces: {max_frames: -1}",
       "x.conf:1:27: stacktraces.max_frames: '-1' is not a whole number" + frames},
      {"stacktraces: {max_frames: 1.5}",
       "x.conf:1:27: stacktraces.max_frames: '1.5' is not a whole number" + frames},
      {"stacktraces: {max_frames: '5'}", "x.conf:1:27: stacktraces.max_frames: '5' is in quotes" + frames},
      {"queue: {batch: 0}",
       "x.conf:1:16: queue.batch: '0' is too small; write a whole number from 1 to 1000000"},
      {"queue: {batch: 1000001}",
       "x.conf:1:16: queue.batch: '1000001' is too large; write a whole number from 1 to 1000000"},
      {"tracing: {batch_size: 10001}",
       "x.conf:1:23: tracing.batch_size: '10001' is too large; write a whole number from 1 to 10000"},
      {"queue: {limit: 1048575}", "x.conf:1:16: queue.limit: '1048575' is too small" + limit},
      {"queue: {limit: 1048576}", ""},
      {"queue: {limit: 1EiB}", ""},
      {"queue: {limit: 2EiB}", "x.conf:1:16: queue.limit: '2EiB' is too large" + limit},
      {"queue: {limit: 10 MiB}", "x.conf:1:16: queue.limit: '10 MiB' is not a size" + limit},
      {"queue: {limit: .nan}", "x.conf:1:16: queue.limit: '.nan' is not a size" + limit},
      {"queue: {limit: ''}", "x.conf:1:16: queue.limit: '' is not a size" + limit},
      {"queue: {interval: 99us}", "x.conf:1:19: queue.interval: '99us' is too small" + interval},
      {"queue: {interval: 3600.1}", "x.conf:1:19: queue.interval: '3600.1' is too large" + interval},
      {"queue: {interval: -5s}", "x.conf:1:19: queue.interval: '-5s' is not a duration" + interval},
      {"queue: {interval: .nan}", "x.conf:1:19: queue.interval: '.nan' is not a duration" + interval},
      {"queue: {interval: .inf}", "x.conf:1:19: queue.interval: '.inf' is not a duration" + interval},
      {"queue: {exit_timeout: 61m}",
       "x.conf:1:23: queue.exit_timeout: '61m' is too large; write a duration from 0s to 1h, such as 100ms "
       "or 5s"},
      {"tracing: {flush_interval: 0}",
       "x.conf:1:27: tracing.flush_interval: '0' is too small; write a duration from 1ms to 1h, such as "
       "100ms or "
       "5s"},
  });
}

TEST_CASE("An adapter that does not name one module and one class is an error") {
  const std::string remedy = "; write module,class, such as code_wake_sqlite_store,SqliteStore";
  const std::string place = "x.conf:1:18: store.adapter: ";
  check({
      {"store: {adapter: 'sqlite'}", place + "'sqlite' has no comma" + remedy},
      {"store: {adapter: ',Class'}", place + "',Class' has no module before the comma" + remedy},
      {"store: {adapter: 'module, '}", place + "'module, ' has no class after the comma" + remedy},
      {"store: {adapter: 'a,b,c'}", place + "'a,b,c' has more than one comma" + remedy},
      {"store: {adapter: [a, b]}", place + "the list does not fit" + remedy},
      {"store: {adapter: 'postgresql://u:hush@h/d'}",
       place + "'postgresql://u:***@h/d' has no comma" + remedy},
  });
}

TEST_CASE("An empty parameter of a store is an error") {
  const std::string remedy =
      "; write the adapter's parameters, either a list or text with commas between them (%2C is a comma in "
      "one)";
  check({
      {"store: {config: 'a,,b'}", "x.conf:1:17: store.config: 'a,,b' has an empty parameter" + remedy},
      {"store: {config: [a, '']}", "x.conf:1:17: store.config: the list has an empty parameter" + remedy},
      {"store: {config: {a: b}}", "x.conf:1:17: store.config: a map does not fit" + remedy},
      {"store: {config: [{a: b}]}", "x.conf:1:18: store.config: a map does not fit in a list; write text"},
      {"store: {config: [a, ~]}", "x.conf:1:21: store.config: null does not fit in a list; write text"},
  });
}

TEST_CASE("A variable's error names the variable, the key and what may be written") {
  CHECK(error_of_variable("CODE_WAKE_ST_FROM_EXCEPTIONS", "True") ==
        "CODE_WAKE_ST_FROM_EXCEPTIONS: stacktraces.include.from_exceptions: 'True' is not a boolean; write "
        "true or "
        "false");
  CHECK(error_of_variable("CODE_WAKE_TRACING_DEBUG", "") ==
        "CODE_WAKE_TRACING_DEBUG: tracing.debug: '' is not a boolean; write true or false");
  CHECK(error_of_variable("CODE_WAKE_STORE_ADAPTER", "sqlite") ==
        "CODE_WAKE_STORE_ADAPTER: store.adapter: 'sqlite' has no comma; write module,class, such as "
        "code_wake_sqlite_store,SqliteStore");
  CHECK(error_of_variable("CODE_WAKE_STORE_CONFIG", "postgresql://u:hush@h/d,") ==
        "CODE_WAKE_STORE_CONFIG: store.config: 'postgresql://u:***@h/d,' has an empty parameter; write the "
        "adapter's "
        "parameters, either a list or text with commas between them (%2C is a comma in one)");
  CHECK(
      error_of_variable("CODE_WAKE_QUEUE_LIMIT", "1") ==
      "CODE_WAKE_QUEUE_LIMIT: queue.limit: '1' is too small; write a size from 1MiB to 1EiB, such as 64MiB");
}

TEST_CASE("Broken YAML is an error with the place, in the parser's own words") {
  const auto begins = [](const std::string& yaml, const std::string& place) {
    CAPTURE(yaml);
    const std::string error = error_of(yaml);
    CAPTURE(error);
    CHECK(error.starts_with(place + ": broken YAML: "));
    CHECK(error.ends_with("; check the indentation, colons and quotes here"));
  };
  begins("app: {name: a", "x.conf:1:1");
  begins("app:\n  name: 'a", "x.conf:2:11");
  begins("app:\n  name: a: b", "x.conf:2:10");
  begins("app:\n  name: \"a\" b", "x.conf:2:13");
  begins("app: *nowhere", "x.conf:1:6");
  begins("app: @a", "x.conf:1:6");
  begins("app: }", "x.conf:1:6");
  begins(",app", "x.conf:1:1");
  begins("- a\n, b", "x.conf:2:1");
  begins("app: {name: a}\n...\nb\n", "x.conf:3:1");
  begins("other:\n  - a\n b", "x.conf:3:2");
}

TEST_CASE("A tab for indentation is an error that says so") {
  for (const char* yaml : {"store:\n\tadapter: a\n", "store:\n  config: a\n\tadapter: a\n"}) {
    const std::string error = error_of(yaml);
    CAPTURE(error);
    CHECK(error.find("broken YAML: ") != std::string::npos);
    CHECK(error.ends_with("; indent with spaces, not with tabs"));
  }
}

TEST_CASE("More than one document is an error") {
  const std::string remedy = "a second YAML document begins here; keep all in one, without the line ---";
  check({
      {"app: {name: a}\n---\napp: {vsn: b}\n", "x.conf:2:1: " + remedy},
      {"app: {name: a}\n---\n", "x.conf:2:1: " + remedy},
      {"app: {name: a}\n...\n---\nb\n", "x.conf:3:1: " + remedy},
      {"---\napp: {name: a}\n...\n", ""},
  });
}

TEST_CASE("YAML that nests too deeply is an error") {
  const std::string message = "x.conf:1:1: broken YAML: it nests too deeply; use fewer levels";
  CHECK(error_of(std::string(100'000, '[')) == message);
  CHECK(error_of(std::string(100'000, '{')) == message);
}

TEST_CASE("Characters that a configuration cannot hold are an error with the place") {
  check({
      {"app: {name: a}\n\x04\n", "x.conf:2:1: a control character (0x04) stands here; remove it"},
      {std::string("app:\n  name: a\0b", 16),
       "x.conf:2:10: a control character (0x00) stands here; remove it"},
      {"app: {name: \x7f}", "x.conf:1:13: a control character (0x7f) stands here; remove it"},
      {"app: {name: a}\n# caf\xE9\n", "x.conf:2: this line is not UTF-8; save the file as UTF-8"},
      {"\xFF\xFE"
       "a: 1",
       "x.conf:1: this line is not UTF-8; save the file as UTF-8"},
      {"app: {name: \"\xC3\xA9\"}\r\n", ""},
  });
}
