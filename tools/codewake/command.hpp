// What all commands share: their common options, the store they read, and how they are told apart.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/records.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "output.hpp"

namespace codewake::cli {

/// The exit codes.
inline constexpr int kSuccess = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsedWrongly = 2;
inline constexpr int kFound = 3;  ///< `races --fail`, and something was found

/// Used wrongly, found after the options were parsed. `what()` says what to do instead.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Format { table, json, ndjson, csv };

/// Options of every command that has a use for them.
struct CommonOptions {
  std::string store;    ///< `--store`, empty where not given
  std::string adapter;  ///< `--adapter`, likewise
  Format format = Format::table;
  bool csv_safe = false;  ///< `--csv-safe`
  ColorMode color = ColorMode::automatic;
};

/// One use of the program. The command that was named on the command line leaves what to do in `run`.
struct Session {
  explicit Session(Output& output) : out(output) {}

  Output& out;
  CommonOptions options;
  std::function<int(Session&)> run;
};

/// Says what went wrong, on one line of stderr whatever `message` holds.
void complain(std::string_view message);

/// Adds a command with its examples, one a line; `run` is what it does with `options` once these are parsed.
CLI::App* add_command(CLI::App& app, const std::string& name, const std::string& description,
                      const std::vector<std::string>& examples);

/// Arranges for `run` to be called, with the options that are parsed by then.
template <class Options>
void on_run(CLI::App* command, Session& session, std::shared_ptr<Options> options,
            int (*run)(Session&, const Options&)) {
  command->callback([&session, options = std::move(options), run] {
    session.run = [options, run](Session& s) { return run(s, *options); };
  });
}

/// `--store` and `--adapter`.
void add_store_options(CLI::App* command, Session& session);

/// A format that one command has besides the others.
struct ExtraFormat {
  std::string name;
  bool& is_chosen;
};

/// `--format` and `--color`.
void add_output_options(CLI::App* command, Session& session, std::optional<ExtraFormat> extra = std::nullopt);

/// An option that takes a moment of time; what is none is refused, and says what would be.
void add_time_option(CLI::App* command, const std::string& name, std::optional<Time>& target,
                     const std::string& description);

/// `--limit`, a number not below `smallest`.
void add_limit_option(CLI::App* command, std::size_t& target, std::size_t smallest,
                      const std::string& description);

/// Splits `KEY=VALUE` at the first `=`. Throws UsageError that names `what` where there is none.
Attribute parse_pair(const std::string& text, const std::string& what);

/// The configuration as a program would see it, with `--store` and `--adapter` over it. Throws ConfigError.
Config load_config(const CommonOptions& options);

/// Opens the store of the configuration. The command line waits for its answers, so of an adapter's class
/// that queues
/// (`SqliteQueueStore`) it takes the one that does not (`SqliteStore`), where the module has it. Throws
/// ConfigError, PluginError, and UsageError where `--store` names no known kind of store.
std::shared_ptr<Store> open_store(const CommonOptions& options);

// One for each family of commands.
void add_event_commands(CLI::App& app, Session& session);
void add_exceptions_command(CLI::App& app, Session& session);
void add_process_commands(CLI::App& app, Session& session);
void add_setup_commands(CLI::App& app, Session& session);
void add_log_command(CLI::App& app, Session& session);
void add_trace_commands(CLI::App& app, Session& session);
void add_race_commands(CLI::App& app, Session& session);
void add_critical_path_command(CLI::App& app, Session& session);
void add_services_command(CLI::App& app, Session& session);
void add_recover_command(CLI::App& app, Session& session);
void add_retain_command(CLI::App& app, Session& session);
void add_run_command(CLI::App& app, Session& session);
void add_symbolize_command(CLI::App& app, Session& session);
void add_bench_command(CLI::App& app, Session& session);
void add_completion_command(CLI::App& app, Session& session);

}  // namespace codewake::cli
