#include "fuzz/targets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "codewake/config.hpp"
#include "codewake/dsn.hpp"
#include "codewake/errors.hpp"
#include "codewake/utf8.hpp"
#include "config/keys.hpp"
#include "config/masked.hpp"
#include "config/setting.hpp"

namespace codewake::testing {
namespace {

void require(bool holds, std::string_view what) {
  if (!holds) throw std::logic_error(std::string(what));
}

void check_message(const Error& error) {
  const std::string_view message = error.what();
  require(is_storable(message), "a message is not UTF-8");
  require(message.size() < 2000, "a message is very long");
  require(std::ranges::none_of(message, [](unsigned char c) { return c < ' ' || c == 0x7F; }),
          "a message does not stand on one line");
}

// Whether what shows can be written: text may be masked, and folders stand in brackets.
bool reads_back(const internal::Setting& setting) {
  return !std::holds_alternative<internal::Text>(setting) &&
         !std::holds_alternative<internal::Secret>(setting) &&
         !std::holds_alternative<internal::Parameters>(setting) &&
         !std::holds_alternative<internal::Folders>(setting);
}

void check_setting(const internal::Setting& setting) {
  if (!reads_back(setting)) return;
  const std::string before = internal::show(setting);
  internal::assign(setting, {.form = internal::Written::Form::variable, .text = before});
  require(internal::show(setting) == before, "a value does not read back as it shows");
}

void check_config(Config config) {
  require(config.entries().size() == internal::keys().size(), "an entry is missing");
  for (const internal::Key& key : internal::keys()) check_setting(key.setting(config));
  require(config.store.adapter.has_value() != config.store.module.empty(), "an adapter without a module");
  require(config.store.adapter.has_value() != config.store.class_name.empty(), "an adapter without a class");
}

// The value for every key, as a variable has it.
void check_variables(const std::string& value) {
  Config config;
  for (const internal::Key& key : internal::keys()) {
    const internal::Setting setting = key.setting(config);
    try {
      internal::assign(setting, {.form = internal::Written::Form::variable,
                                 .text = value,
                                 .place = {.source = key.variable, .key = std::string(key.name)}});
      check_setting(setting);
    } catch (const ConfigError& error) {
      check_message(error);
    }
  }
}

}  // namespace

void fuzz_config(std::string_view input) {
  const std::string secret(input);
  require(masked("p://u:" + secret + "@h") == "p://u:***@h", "a password in a URL shows");
  require(masked("password=" + secret) == "password=***", "the value of a name for secrets shows");
  try {
    check_config(Config::parse(input, "fuzz"));
  } catch (const ConfigError& error) {
    check_message(error);
  }
  check_variables(std::string(input.substr(0, input.find('\0'))));
}

void fuzz_dsn(std::string_view input) {
  Dsn dsn;
  try {
    dsn = parse_dsn(input);
  } catch (const ConfigError& error) {
    check_message(error);
    return;
  }
  require(!dsn.scheme.empty(), "a DSN without a scheme");
  const std::string display = dsn.to_display();
  require(is_storable(display), "a DSN shows as something that is not UTF-8");
  if (dsn.password) dsn.password = internal::kMask;
  for (auto& [key, value] : dsn.query) {
    value = internal::is_secret_name(key) ? std::string(internal::kMask) : masked(value);
  }
  require(parse_dsn(display) == dsn, "a DSN does not read back as it shows");
  require(!dsn.password || display.find(":***@") != std::string::npos, "a DSN shows a secret");
}

}  // namespace codewake::testing
