// `codewake processes` and `codewake apps`.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codewake/records.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "json.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

struct ProcessesOptions {
  std::string app_name;
  ProcessQuery query;
};

struct AppsOptions {};

struct AppSummary {
  AppRecord app;
  std::vector<AppVersionRecord> versions;
  std::size_t processes = 0;
};

std::vector<Column> process_columns() {
  using enum Column::Align;
  using enum Column::Fit;
  return {{"ID", right, fixed},        {"STARTED", left, fixed}, {"APP", left, flexible},
          {"VERSION", left, flexible}, {"ENV", left, flexible},  {"PID", right, fixed},
          {"USER", left, flexible},    {"HOST", left, flexible}, {"EXECUTABLE", left, flexible}};
}

Row process_row(const ProcessRecord& process) {
  return {Cell(std::to_string(process.id)),
          Cell(format_time(process.run_ts), Style::dim),
          Cell(process.app.name),
          process.app_vsn ? Cell(process.app_vsn->vsn) : Cell(),
          process.environment ? Cell(process.environment->name) : Cell(),
          process.pid ? Cell(std::to_string(*process.pid)) : Cell(),
          process.username ? Cell(*process.username) : Cell(),
          process.fqdn ? Cell(*process.fqdn) : Cell(),
          process.exe_path ? Cell(*process.exe_path) : Cell()};
}

/// Those that the options ask for; none where the app has never run.
std::vector<ProcessRecord> find_processes(Store& store, const ProcessesOptions& options) {
  ProcessQuery query = options.query;
  if (!options.app_name.empty()) {
    const std::vector<AppRecord> apps = store.get_apps();
    const auto app = std::ranges::find(apps, options.app_name, &AppRecord::name);
    if (app == apps.end()) return {};
    query.app_id = app->id;
  }
  return store.get_processes(query);
}

int run_processes(Session& session, const ProcessesOptions& options) {
  const std::shared_ptr<Store> store = open_store(session.options);
  Listing listing(session.out, session.options, process_columns(), process_fields());
  for (const ProcessRecord& process : find_processes(*store, options)) {
    listing.add([&] { return process_row(process); }, [&] { return to_json(process); });
  }
  listing.finish();
  return kSuccess;
}

Row app_row(const AppSummary& summary) {
  Cell versions;
  for (const AppVersionRecord& version : summary.versions) {
    if (!versions.spans().empty()) versions.append(", ");
    versions.append(visible(version.vsn));
  }
  return {Cell(std::to_string(summary.app.id)), Cell(summary.app.name), versions,
          Cell(std::to_string(summary.processes))};
}

Json app_json(const AppSummary& summary) {
  Json versions = Json::array();
  for (const AppVersionRecord& version : summary.versions) versions.push_back(version.vsn);
  return {{"id", summary.app.id},
          {"name", summary.app.name},
          {"versions", versions},
          {"processes", summary.processes}};
}

int run_apps(Session& session, const AppsOptions&) {
  using enum Column::Align;
  using enum Column::Fit;
  const std::shared_ptr<Store> store = open_store(session.options);
  Listing listing(session.out, session.options,
                  {{"ID", right, fixed},
                   {"NAME", left, flexible},
                   {"VERSIONS", left, flexible},
                   {"PROCESSES", right, fixed}},
                  {"id", "name", "versions", "processes"});
  for (const AppRecord& app : store->get_apps()) {
    const AppSummary summary{app, store->get_app_vsns(app.id),
                             store->get_processes({.app_id = app.id}).size()};
    listing.add([&] { return app_row(summary); }, [&] { return app_json(summary); });
  }
  listing.finish();
  return kSuccess;
}

}  // namespace

void add_process_commands(CLI::App& app, Session& session) {
  const auto options = std::make_shared<ProcessesOptions>();
  CLI::App* const processes = add_command(
      app, "processes", "List the runs of programs",
      {"codewake processes", "codewake processes --app shop --since 7d", "codewake processes --format csv"});
  processes->add_option("--app", options->app_name, "Only runs of this app")->type_name("NAME");
  add_time_option(processes, "--since", options->query.from, "Only runs that started at or after this time");
  add_time_option(processes, "--until", options->query.to, "Only runs that started before this time");
  add_output_options(processes, session);
  add_store_options(processes, session);
  on_run(processes, session, options, run_processes);

  CLI::App* const apps =
      add_command(app, "apps", "List apps with their versions and the number of their runs",
                  {"codewake apps", "codewake apps --format json"});
  add_output_options(apps, session);
  add_store_options(apps, session);
  on_run(apps, session, std::make_shared<AppsOptions>(), run_apps);
}

}  // namespace codewake::cli
