#include "codewake/config.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "config/sources.hpp"

using codewake::Config;
using codewake::testing::entry;
using codewake::testing::sources;
using namespace std::chrono_literals;

TEST_CASE("The canonical file of the older system works to the letter") {
  const Config config = Config::parse(R"(store:
    adapter: "code_wake_sql14_store,Sql14Store"
    config: "sqlite:////tmp/some_file.sqlite"
environment:
    name: "production"
app:
    name: "my_app"
    vsn: "1.2.3"
stacktraces:
    include:
        from_exceptions: true
        for_non_exceptions: false
)",
                                      "code_wake.conf");
  CHECK(config.store.adapter == "code_wake_sql14_store,Sql14Store");
  CHECK(config.store.module == "code_wake_sql14_store");
  CHECK(config.store.class_name == "Sql14Store");
  CHECK(config.store.parameters == std::vector<std::string>{"sqlite:////tmp/some_file.sqlite"});
  CHECK(config.environment_name == "production");
  CHECK(config.app_name == "my_app");
  CHECK(config.app_vsn == "1.2.3");
  CHECK(config.stacktraces.from_exceptions);
  CHECK_FALSE(config.stacktraces.for_non_exceptions);
  CHECK(entry(config, "stacktraces.include.for_non_exceptions").origin == "code_wake.conf:12");
  CHECK(config.foreign_sections().empty());
}

TEST_CASE("Every key reaches its member") {
  const Config config = Config::parse(R"(
store: {adapter: "m,C", config: [one, "two,three"]}
environment: {name: e}
app: {name: a, vsn: v}
stacktraces: {include: {from_exceptions: false, for_non_exceptions: true}, max_frames: 20}
queue: {journal: memory, limit: 64MiB, when_full: block, durability: machine, batch: 7, interval: 250us,
        exit_timeout: 1m}
crashes: {signals: false, uncaught: false}
tracing: {endpoint: "http://h", service_name: s, instance_id: i, environment: t, batch_size: 9,
          flush_interval: 0.5, api_key: k, debug: true}
plugins: {path: [/p, q]}
)",
                                      "code_wake.conf");
  CHECK(config.store.parameters == std::vector<std::string>{"one", "two,three"});
  CHECK(config.environment_name == "e");
  CHECK(config.app_name == "a");
  CHECK(config.app_vsn == "v");
  CHECK_FALSE(config.stacktraces.from_exceptions);
  CHECK(config.stacktraces.for_non_exceptions);
  CHECK(config.stacktraces.max_frames == 20);
  CHECK(config.queue.journal == "memory");
  CHECK(config.queue.limit_bytes == 64u << 20);
  CHECK(config.queue.when_full == codewake::WhenFull::block);
  CHECK(config.queue.durability == codewake::Durability::machine);
  CHECK(config.queue.batch == 7);
  CHECK(config.queue.interval == 250us);
  CHECK(config.queue.exit_timeout == 60s);
  CHECK_FALSE(config.crashes.signals);
  CHECK_FALSE(config.crashes.uncaught);
  CHECK(config.tracing.endpoint == "http://h");
  CHECK(config.tracing.service_name == "s");
  CHECK(config.tracing.instance_id == "i");
  CHECK(config.tracing.environment == "t");
  CHECK(config.tracing.batch_size == 9);
  CHECK(config.tracing.flush_interval == 500ms);
  CHECK(config.tracing.api_key == "k");
  CHECK(config.tracing.debug);
  CHECK(config.plugin_path == std::vector<std::filesystem::path>{"/p", "q"});
}

TEST_CASE("Files without content are an empty configuration") {
  for (const char* yaml :
       {"", "\n", "# only a comment\n", "---\n", "~", "\xEF\xBB\xBF", "store:\napp:\n", "{}"}) {
    CAPTURE(yaml);
    const Config config = Config::parse(yaml, "x");
    CHECK_FALSE(config.store.adapter.has_value());
    for (const Config::Entry& each : config.entries()) CHECK(each.origin == "default");
  }
}

TEST_CASE("Text keeps what was written, numbers included") {
  const auto vsn = [](std::string_view yaml) { return Config::parse(yaml, "x").app_vsn; };
  CHECK(vsn("app: {vsn: 1.10}") == "1.10");
  CHECK(vsn("app: {vsn: 007}") == "007");
  CHECK(vsn("app: {vsn: 1e3}") == "1e3");
  CHECK(vsn("app: {vsn: 0x1F}") == "0x1F");
  CHECK(vsn("app: {vsn: 2024-01-02}") == "2024-01-02");
  CHECK(vsn("app: {vsn: no}") == "no");
  CHECK(vsn("app: {vsn: 'true'}") == "true");
  CHECK(vsn("app: {vsn: !!str true}") == "true");
  CHECK(vsn("app: {vsn: ' 1 '}") == " 1 ");
  CHECK(vsn("app: {vsn: \"\\u00e9\"}") == "\u00e9");
  CHECK(vsn("app: {vsn: !!float 1.50}") == "1.50");
  CHECK_FALSE(vsn("app: {vsn: ''}").has_value());
}

TEST_CASE("Booleans are spelled as YAML 1.2 spells them, in variables in lower case only") {
  for (const char* word : {"true", "True", "TRUE"}) {
    CHECK(Config::parse(std::string("tracing: {debug: ") + word + "}", "x").tracing.debug);
  }
  for (const char* word : {"false", "False", "FALSE", "!!bool false"}) {
    CHECK_FALSE(Config::parse(std::string("crashes: {signals: ") + word + "}", "x").crashes.signals);
  }
  CHECK(Config::load(sources({{"CODE_WAKE_TRACING_DEBUG", "true"}})).tracing.debug);
  CHECK_FALSE(Config::load(sources({{"CODE_WAKE_CRASHES_SIGNALS", "false"}})).crashes.signals);
}

TEST_CASE("A comma separates a store's parameters unless it is written %2C or stands in a list") {
  const auto parameters = [](std::string_view yaml) { return Config::parse(yaml, "x").store.parameters; };
  using List = std::vector<std::string>;
  CHECK(parameters("store: {config: 'a'}") == List{"a"});
  CHECK(parameters("store: {config: 'a, b'}") == List{"a", "b"});
  CHECK(parameters("store: {config: 'a%2Cb,c%2cd'}") == List{"a,b", "c,d"});
  CHECK(parameters("store: {config: 'p%40ss%252C'}") == List{"p%40ss%252C"});
  CHECK(parameters("store: {config: ['a,b', 'c%2Cd', 5]}") == List{"a,b", "c%2Cd", "5"});
  CHECK(parameters("store: {config: []}") == List{});
  CHECK(parameters("store: {config: ''}") == List{});
  CHECK(Config::load(sources({{"CODE_WAKE_STORE_CONFIG", "a%2Cb,c"}})).store.parameters == List{"a,b", "c"});
}

TEST_CASE("Blanks around an adapter's module and class are nothing") {
  const Config config = Config::parse("store: {adapter: ' some.module ,  Class '}", "x");
  CHECK(config.store.adapter == "some.module,Class");
  CHECK(config.store.module == "some.module");
  CHECK(config.store.class_name == "Class");
}

TEST_CASE("Empty names in the plugins' variable are nothing, so that it can be extended") {
  const auto path = [](const char* value) {
    return Config::load(sources({{"CODE_WAKE_PLUGIN_PATH", value}})).plugin_path;
  };
  using Paths = std::vector<std::filesystem::path>;
  CHECK(path(":/a::/b:") == Paths{"/a", "/b"});
  CHECK(path(":") == Paths{});
}

TEST_CASE("Sections of other programs are left alone and listed once") {
  const Config config =
      Config::parse("acme: {store: {adaptor: 1}}\nstroe: [1]\nacme: 2\napp: {name: a}\n", "x");
  CHECK(config.foreign_sections() == std::vector<std::string>{"acme", "stroe"});
  CHECK(config.app_name == "a");
}

TEST_CASE("Anchors and aliases work, also those that would nest without end") {
  CHECK(Config::parse("x: &name shop\napp: {name: *name}\n", "x").app_name == "shop");
  CHECK(Config::parse("x: &app {name: shop}\napp: *app\n", "x").app_name == "shop");
  CHECK(Config::parse("x: &x [*x, *x]\napp: {name: a}\n", "x").app_name == "a");
  std::string laughs = "l0: &l0 [ha, ha]\n";
  for (int i = 1; i < 60; ++i) {
    const std::string before = "*l" + std::to_string(i - 1);
    laughs += "l" + std::to_string(i) + ": &l" + std::to_string(i) + " [" + before + ", " + before + "]\n";
  }
  CHECK(Config::parse(laughs + "app: {name: a}\n", "x").app_name == "a");
}

TEST_CASE("Variables with names that mean nothing are ignored") {
  const Config config = Config::load(sources({{"CODE_WAKE_STORE_ADAPTOR", "a"}, {"CODE_WAKE_", "b"}}));
  for (const Config::Entry& each : config.entries()) CHECK(each.origin == "default");
}

TEST_CASE("Secrets never show among the entries") {
  const Config config = Config::parse(
      "store: {adapter: 'm,C', config: ['postgresql://u:hush@h/db?sslpassword=hush', api_key=hush]}\n"
      "tracing: {api_key: hush, endpoint: 'http://u:hush@h'}\n"
      "queue: {journal: 'token=hush'}\n",
      "x");
  for (const Config::Entry& each : config.entries()) CHECK(each.value.find("hush") == std::string::npos);
  CHECK(entry(config, "store.config").value == "postgresql://u:***@h/db?sslpassword=***,api_key=***");
  CHECK(config.tracing.api_key == "hush");
}
