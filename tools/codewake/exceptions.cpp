// `codewake exceptions`.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "codewake/records.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "command.hpp"
#include "describe.hpp"
#include "json.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

std::vector<Column> exception_columns() {
  using enum Column::Align;
  using enum Column::Fit;
  return {{"COUNT", right, fixed},      {"FIRST", left, fixed},   {"LAST", left, fixed},
          {"EVENT", right, fixed},      {"TYPE", left, flexible}, {"MESSAGE", left, flexible},
          {"TOP FRAME", left, flexible}};
}

Row exception_row(const ExceptionGroup& group) {
  return {Cell(std::to_string(group.count)),
          Cell(format_time(group.first), Style::dim),
          Cell(format_time(group.last), Style::dim),
          Cell(std::to_string(group.last_event_id)),
          group.type ? Cell(*group.type, Style::alarm) : Cell(),
          group.message ? Cell(*group.message) : Cell(),
          group.top_frame ? Cell(describe_frame(*group.top_frame)) : Cell()};
}

int run_exceptions(Session& session, const ExceptionQuery& query) {
  const std::shared_ptr<Store> store = open_store(session.options);
  Listing listing(session.out, session.options, exception_columns(), exception_fields());
  for (const ExceptionGroup& group : store->get_exceptions(query)) {
    listing.add([&] { return exception_row(group); }, [&] { return to_json(group); });
  }
  listing.finish();
  return kSuccess;
}

}  // namespace

void add_exceptions_command(CLI::App& app, Session& session) {
  const auto query = std::make_shared<ExceptionQuery>();
  CLI::App* const command =
      add_command(app, "exceptions", "List exceptions, grouped by stack trace, most recent first",
                  {"codewake exceptions", "codewake exceptions --app shop --env production --since 7d",
                   "codewake exceptions --format json | jq '.[].type'"});
  command->add_option("--app", query->app_name, "Only those of this app")->type_name("NAME");
  command->add_option("--env", query->env_name, "Only those of this environment")->type_name("NAME");
  add_time_option(command, "--since", query->from, "Count those at or after this time");
  add_time_option(command, "--until", query->to, "Count those before this time");
  add_limit_option(command, query->limit, 1, "At most so many groups (default: 100)");
  add_output_options(command, session);
  add_store_options(command, session);
  on_run(command, session, query, run_exceptions);
}

}  // namespace codewake::cli
