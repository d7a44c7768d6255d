#include "command.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "codewake/plugin.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/visible.hpp"

namespace codewake::cli {
namespace {

struct Scheme {
  std::string_view name;
  std::string_view adapter;
};

/// Which adapter a DSN means where `--adapter` does not say.
constexpr std::array<Scheme, 5> kSchemes = {{
    {"sqlite", "code_wake_sqlite_store,SqliteStore"},
    {"postgresql", "code_wake_postgres_store,PostgresStore"},
    {"postgres", "code_wake_postgres_store,PostgresStore"},
    {"http", "code_wake_v1rest_store,V1RestStore"},
    {"https", "code_wake_v1rest_store,V1RestStore"},
}};

std::string adapter_for(const std::string& dsn) {
  const std::string_view scheme = std::string_view(dsn).substr(0, dsn.find(':'));
  for (const Scheme& known : kSchemes) {
    if (scheme == known.name && scheme.size() < dsn.size()) return std::string(known.adapter);
  }
  throw UsageError(
      fmt::format("--store: '{}' names no store; write sqlite:///FILE, postgresql://HOST/DATABASE or "
                  "https://HOST, or name the adapter with --adapter MODULE,CLASS",
                  masked(dsn)));
}

std::optional<std::string> environment_variable(const char* name) {
  const char* const value = secure_getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

/// The class of the same store that does not queue: `SqliteQueueStore` is `SqliteStore`. Empty where it does
/// not.
std::optional<std::string> class_without_queue(const std::string& class_name) {
  constexpr std::string_view kSuffix = "QueueStore";
  if (!std::string_view(class_name).ends_with(kSuffix)) return std::nullopt;
  return class_name.substr(0, class_name.size() - kSuffix.size()) + "Store";
}

template <class Choice>
void add_choice(CLI::App* command, const std::string& name, Choice& target,
                std::vector<std::pair<std::string, Choice>> choices, const std::string& description,
                std::optional<ExtraFormat> extra = std::nullopt) {
  std::vector<std::string> names;
  for (const auto& choice : choices) names.push_back(choice.first);
  if (extra) names.push_back(extra->name);
  const std::string shown = fmt::format("{}", fmt::join(names, "|"));
  command
      ->add_option_function<std::string>(
          name,
          [&target, choices = std::move(choices), extra](const std::string& text) {
            if (extra) extra->is_chosen = text == extra->name;
            for (const auto& [choice, value] : choices) {
              if (choice == text) target = value;
            }
          },
          description)
      ->option_text(shown)
      ->check(CLI::IsMember(names));
}

}  // namespace

void complain(std::string_view message) {
  std::string line(message);
  std::ranges::replace(line, '\n', ' ');
  say_on_stderr(line);
}

CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::vector<std::string>& examples) {
  CLI::App* const command = app.add_subcommand(name, description);
  std::string footer = examples.size() == 1 ? "Example:" : "Examples:";
  for (const std::string& example : examples) footer += "\n  " + example;
  command->footer(footer);
  return command;
}

void add_store_options(CLI::App* command, Session& session) {
  command
      ->add_option(
          "--store", session.options.store,
          "Use this store instead of the configured one: sqlite:///FILE, https://HOST, …; env:NAME and "
          "file:PATH read the DSN from a variable, or from the first line of a private file")
      ->type_name("DSN");
  command
      ->add_option("--adapter", session.options.adapter,
                   "Use this adapter instead of the one that --store or the configuration means")
      ->type_name("MODULE,CLASS");
}

void add_output_options(CLI::App* command, Session& session, std::optional<ExtraFormat> extra) {
  add_choice<Format>(
      command, "--format", session.options.format,
      {{"table", Format::table}, {"json", Format::json}, {"ndjson", Format::ndjson}, {"csv", Format::csv}},
      "How to write the result (default: table)", std::move(extra));
  command->add_flag("--csv-safe", session.options.csv_safe,
                    "With --format csv, text that a spreadsheet would take for a formula gets an apostrophe");
  add_choice<ColorMode>(
      command, "--color", session.options.color,
      {{"auto", ColorMode::automatic}, {"always", ColorMode::always}, {"never", ColorMode::never}},
      "When to colour a table (default: auto, which means on a terminal)");
}

void add_time_option(CLI::App* command, const std::string& name, std::optional<Time>& target,
                     const std::string& description) {
  command
      ->add_option_function<std::string>(
          name,
          [name, &target](const std::string& text) {
            target = parse_time(text);
            if (target) return;
            throw CLI::ValidationError(
                name, fmt::format(
                          "'{}' is no time; write 2026-11-22, 2026-11-22T10:00, @1795311246, or an age such "
                          "as 90s, 15m, 24h, 7d",
                          text));
          },
          description)
      ->type_name("TIME");
}

void add_limit_option(CLI::App* command, std::size_t& target, std::size_t smallest,
                      const std::string& description) {
  command
      ->add_option_function<std::string>(
          "--limit",
          [&target, smallest](const std::string& text) {
            const char* const end = text.data() + text.size();
            const auto [stopped, error] = std::from_chars(text.data(), end, target);
            if (error == std::errc() && stopped == end && target >= smallest) return;
            throw CLI::ValidationError(
                "--limit", fmt::format("'{}' will not do; write a number from {}", text, smallest));
          },
          description)
      ->type_name("N");
}

Attribute parse_pair(const std::string& text, const std::string& what) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw UsageError(
        fmt::format("{}: '{}' has no value; write KEY=VALUE ({}= for an empty value)", what, text, text));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Config load_config(const CommonOptions& options) {
  // What the options say stands where a program would read the variables, so all rules about these hold.
  std::string adapter = options.adapter;
  if (adapter.empty() && !options.store.empty()) adapter = adapter_for(options.store);
  Config::Sources sources;
  sources.variable = [&](const char* name) -> std::optional<std::string> {
    if (name == std::string_view("CODE_WAKE_STORE_ADAPTER") && !adapter.empty()) return adapter;
    if (name == std::string_view("CODE_WAKE_STORE_CONFIG") && !options.store.empty()) return options.store;
    return environment_variable(name);
  };
  return Config::load(sources);
}

std::shared_ptr<Store> open_store(const CommonOptions& options) {
  const Config config = load_config(options);
  const Config::Store& store = config.store;
  if (!store.adapter) {
    throw Error(
        fmt::format("no store is configured; looked at {}. Set store.adapter and store.config there, or give "
                    "--store DSN",
                    config.looked_at()));
  }
  if (const std::optional<std::string> direct = class_without_queue(store.class_name)) {
    try {
      return load_store(store.module, *direct, store.parameters, config.plugin_path);
    } catch (const PluginError&) {
      // The module may have the queueing class alone; if anything else is wrong, that one fails the same way
      // below.
    }
  }
  return load_store(store.module, store.class_name, store.parameters, config.plugin_path);
}

}  // namespace codewake::cli
