// codewake: reads what programs recorded, and records from scripts.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <clocale>
#include <csignal>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/version.hpp"
#include "command.hpp"
#include "output.hpp"
#include "store_option.hpp"

namespace codewake::cli {
namespace {

constexpr const char* kHelpFooter =
    "Every command reads the configuration as programs do ($CODE_WAKE_CONFIG, /etc/code_wake.conf,\n"
    "./etc/code_wake.conf, and the CODE_WAKE_* variables over it), unless --store names a store;\n"
    "further parameters of its adapter follow after commas (a comma itself is written %2C).\n"
    "'codewake COMMAND --help' shows the options of a command, with examples.\n"
    "Exit codes: 0 done, 1 failed, 2 used wrongly, 3 found (races --fail).\n"
    "\n"
    "Examples:\n"
    "  codewake events --since 1h\n"
    "  codewake events --store sqlite:////var/lib/shop/wake.sqlite --where event=order\n"
    "  codewake event 42";

std::string help_hint(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return fmt::format("'codewake {}--help' shows how", chosen.empty() ? "" : chosen.back()->get_name() + " ");
}

void add_commands(CLI::App& app, Session& session) {
  add_log_command(app, session);
  add_event_commands(app, session);
  add_exceptions_command(app, session);
  add_trace_commands(app, session);
  add_race_commands(app, session);
  add_critical_path_command(app, session);
  add_services_command(app, session);
  add_process_commands(app, session);
  add_setup_commands(app, session);
  add_recover_command(app, session);
  add_retain_command(app, session);
  add_symbolize_command(app, session);
  add_run_command(app, session);
  add_bench_command(app, session);
  add_completion_command(app, session);
}

int run(int argc, char** argv, Session& session) {
  CLI::App app("Reads what programs recorded with Code Wake, and records from scripts.", "codewake");
  app.set_version_flag("--version", std::string("codewake ") + CODEWAKE_VERSION,
                       "Print the version and exit");
  app.set_help_flag("--help,-h", "Print this help and exit");
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.get_formatter()->label("SUBCOMMAND", "COMMAND");
  app.get_formatter()->label("Subcommands", "Commands");
  app.footer(kHelpFooter);
  add_commands(app, session);
  try {
    std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
    hide_store_arguments(argc, argv);
    std::ranges::reverse(words);  // as CLI11 takes them
    app.parse(std::move(words));
    session.options.store = resolve_store(session.options.store);
    session.out.set_color(session.options.color);
    const int code = session.run(session);
    session.out.flush();
    return code;
  } catch (const CLI::CallForHelp&) {
    session.out.write(app.help());
    session.out.flush();
    return kSuccess;
  } catch (const CLI::CallForVersion& version) {
    session.out.write(std::string(version.what()) + "\n");
    session.out.flush();
    return kSuccess;
  } catch (const CLI::ParseError& error) {
    complain(fmt::format("{}; {}", error.what(), help_hint(app)));
    return kUsedWrongly;
  } catch (const UsageError& error) {
    complain(error.what());
    return kUsedWrongly;
  }
}

}  // namespace
}  // namespace codewake::cli

int main(int argc, char** argv) {
  using namespace codewake::cli;
  std::setlocale(LC_CTYPE, "C.UTF-8");  // for the widths of characters, whatever the user's language
  std::signal(SIGPIPE, SIG_IGN);        // a reader that has gone is seen where it is written to
  std::signal(SIGXFSZ, SIG_IGN);        // a file that may not grow is an error
  Output output(STDOUT_FILENO);
  Session session(output);
  try {
    return run(argc, argv, session);
  } catch (const OutputClosed&) {
    return kSuccess;
  } catch (const std::exception& error) {
    complain(error.what());
    return kFailed;
  }
}
