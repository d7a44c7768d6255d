// `codewake config` and `codewake plugins`: what this machine is set up to do.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/plugin.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "json.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

struct SetupOptions {};

/// Where adapters are looked for, in this order.
std::vector<std::string> plugin_folders(const Config& config) {
  std::vector<std::string> folders;
  for (const std::filesystem::path& folder : config.plugin_path) folders.push_back(folder.string());
  folders.push_back(installed_plugin_folder().string());
  return folders;
}

Json to_json(const Config::Entry& entry) {
  return {{"key", entry.key}, {"value", entry.value}, {"origin", entry.origin}};
}

Row entry_row(const Config::Entry& entry) {
  return {Cell(entry.key, Style::key), Cell(entry.value), Cell(entry.origin, Style::dim)};
}

void write_notes(Output& out, const Config& config) {
  const auto note = [&out](std::string_view heading, const std::string& text) {
    out.write(heading, Style::heading);
    out.write(" " + visible(text) + "\n");
  };
  out.write("\n");
  note("File:", config.file().empty() ? "none; looked at " + config.looked_at() : config.file().string());
  if (!config.file().empty()) {  // else the line above has them
    for (const std::string& problem : config.passed_over()) note("Passed over:", problem);
  }
  if (!config.foreign_sections().empty()) {
    note("Sections of other programs:", fmt::format("{}", fmt::join(config.foreign_sections(), ", ")));
  }
  note("Plugin folders:", fmt::format("{}", fmt::join(plugin_folders(config), ", ")));
}

int run_config(Session& session, const SetupOptions&) {
  const Config config = load_config(session.options);
  if (session.options.format == Format::json) {
    Json json = {{"file", config.file().empty() ? Json(nullptr) : Json(config.file().string())},
                 {"passed_over", config.passed_over()},
                 {"foreign_sections", config.foreign_sections()},
                 {"plugin_folders", plugin_folders(config)},
                 {"entries", Json::array()}};
    for (const Config::Entry& entry : config.entries()) json["entries"].push_back(to_json(entry));
    write_json(session.out, json, 2);
    return kSuccess;
  }
  using enum Column::Fit;
  Listing listing(session.out, session.options, {{.title = "KEY"}, {.title = "VALUE"}, {.title = "ORIGIN"}},
                  {"key", "value", "origin"});
  for (const Config::Entry& entry : config.entries()) {
    listing.add([&] { return entry_row(entry); }, [&] { return to_json(entry); });
  }
  listing.finish();
  if (session.options.format == Format::table) write_notes(session.out, config);
  return kSuccess;
}

/// A row for each class, or one for what is wrong.
struct PluginRow {
  std::string module;
  std::string path;
  PluginFound::Class store;
  std::string problem;
};

std::vector<PluginRow> plugin_rows(const std::vector<PluginFound>& plugins) {
  std::vector<PluginRow> rows;
  for (const PluginFound& plugin : plugins) {
    for (const PluginFound::Class& store : plugin.classes) {
      rows.push_back({plugin.module, plugin.path.string(), store, plugin.problem});
    }
    if (plugin.classes.empty()) rows.push_back({plugin.module, plugin.path.string(), {}, plugin.problem});
  }
  return rows;
}

Row plugin_table_row(const PluginRow& row) {
  return {Cell(row.module), Cell(row.store.name, Style::key), Cell(row.store.parameters),
          Cell(row.path, Style::dim), Cell(row.problem, Style::alarm)};
}

Json plugin_json(const PluginRow& row) {
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  return {{"module", row.module},
          {"class", text_or_null(row.store.name)},
          {"parameters", row.store.parameters},
          {"path", row.path},
          {"problem", text_or_null(row.problem)}};
}

int run_plugins(Session& session, const SetupOptions&) {
  using enum Column::Align;
  using enum Column::Fit;
  const Config config = load_config(session.options);
  Listing listing(session.out, session.options,
                  {{"MODULE", left, fixed},
                   {"CLASS", left, fixed},
                   {"PARAMETERS", left, flexible},
                   {"PATH", left, flexible},
                   {"PROBLEM", left, flexible}},
                  {"module", "class", "parameters", "path", "problem"});
  for (const PluginRow& row : plugin_rows(find_plugins(config.plugin_path))) {
    listing.add([&] { return plugin_table_row(row); }, [&] { return plugin_json(row); });
  }
  listing.finish();
  return kSuccess;
}

}  // namespace

void add_setup_commands(CLI::App& app, Session& session) {
  CLI::App* const config = add_command(
      app, "config", "Show every effective setting with where it comes from, passwords masked",
      {"codewake config", "CODE_WAKE_CONFIG=./shop.conf codewake config", "codewake config --format json"});
  add_output_options(config, session);
  on_run(config, session, std::make_shared<SetupOptions>(), run_config);

  CLI::App* const plugins =
      add_command(app, "plugins", "List the store adapters that can be configured",
                  {"codewake plugins", "CODE_WAKE_PLUGIN_PATH=./build/adapters codewake plugins"});
  add_output_options(plugins, session);
  on_run(plugins, session, std::make_shared<SetupOptions>(), run_plugins);
}

}  // namespace codewake::cli
