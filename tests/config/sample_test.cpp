#include <doctest/doctest.h>

#include <regex>
#include <string>

#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "config/sources.hpp"
#include "support/temporary_folder.hpp"

using codewake::Config;
using codewake::testing::entry;
using codewake::testing::read_file;
using codewake::testing::sources;
using codewake::testing::test_data;

namespace {

std::string sample() {
  return read_file(test_data("../../config/code_wake.conf"));
}

// A key behind # without a space is one that can be used.
std::string uncommented(const std::string& text) {
  static const std::regex key("(^|\n)( *)#([a-z_]+:)");
  return std::regex_replace(text, key, "$1$2$3");
}

}  // namespace

TEST_CASE("The sample configuration works as it is and sets the store alone") {
  const Config config = Config::parse(sample(), "sample");
  CHECK(config.store.module == "code_wake_sqlite_store");
  CHECK(config.store.class_name == "SqliteQueueStore");
  CHECK(entry(config, "store.config").value.find("/tmp/") == std::string::npos);
  CHECK(config.foreign_sections().empty());
  for (const Config::Entry& each : config.entries()) {
    CAPTURE(each.key);
    CHECK((each.origin == "default") == !each.key.starts_with("store."));
  }
}

TEST_CASE("The sample configuration works with everything uncommented, and then holds every key") {
  const Config config = Config::parse(uncommented(sample()), "sample");
  CHECK(config.foreign_sections().empty());
  for (const Config::Entry& each : config.entries()) {
    CAPTURE(each.key);
    CHECK(each.origin.starts_with("sample:"));
  }
}

TEST_CASE("The sample configuration shows the true default of each key that has one") {
  const Config config = Config::parse(uncommented(sample()), "sample");
  for (const Config::Entry& each : Config::load(sources({})).entries()) {
    CAPTURE(each.key);
    if (!each.value.empty()) CHECK(entry(config, each.key).value == each.value);
  }
}

TEST_CASE("The sample configuration names the variable of each key") {
  const std::string text = sample();
  std::size_t variables = 0;
  static const std::regex name("\\[(CODE_WAKE_[A-Z_]+)");
  for (std::sregex_iterator match(text.begin(), text.end(), name), end; match != end; ++match, ++variables) {
    const std::string variable = (*match)[1];
    CAPTURE(variable);
    // Only a variable that is known can be wrong, or set something.
    bool known = false;
    try {
      for (const Config::Entry& each : Config::load(sources({{variable, "x"}})).entries()) {
        known = known || each.origin == variable;
      }
    } catch (const codewake::Error&) {
      known = true;
    }
    CHECK(known);
  }
  CHECK(variables == Config::load(sources({})).entries().size());
}
