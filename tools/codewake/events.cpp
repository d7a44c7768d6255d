// `codewake events` and `codewake event ID`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/errors.hpp"
#include "codewake/records.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "describe.hpp"
#include "event_report.hpp"
#include "json.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

constexpr std::size_t kPageSize = 500;
constexpr std::size_t kMaxKnownProcesses = 10'000;

struct EventsOptions {
  std::vector<std::string> where;
  EventQuery query;  ///< limit: of all pages together; 0 means no limit
};

struct EventOptions {
  Id id = 0;
};

/// Looks processes up once, as most events share theirs.
class KnownProcesses {
 public:
  explicit KnownProcesses(Store& store) : store_(store) {}

  const std::optional<ProcessRecord>& get(Id id) {
    if (const auto found = known_.find(id); found != known_.end()) return found->second;
    if (known_.size() == kMaxKnownProcesses) known_.clear();
    return known_.emplace(id, store_.get_process_by_id(id)).first->second;
  }

 private:
  Store& store_;
  std::unordered_map<Id, std::optional<ProcessRecord>> known_;
};

std::vector<Column> event_columns() {
  using enum Column::Align;
  using enum Column::Fit;
  return {{"ID", right, fixed},    {"TIME", left, fixed},     {"APP", left, flexible},
          {"ENV", left, flexible}, {"STACK", left, flexible}, {"DATA", left, flexible}};
}

/// The exception's type where one was recorded, else the signal that the process died of, else `stack`.
Cell describe_stack(const EventRecord& event) {
  const std::string_view type = text_of(event.data, kExceptionType);
  if (!type.empty()) return {type, Style::alarm};
  if (is_crash(event.data)) return {text_of(event.data, kCrashSignal), Style::alarm};
  return event.stacktrace_id ? Cell("stack") : Cell();
}

Row event_row(const EventRecord& event, const std::optional<ProcessRecord>& process) {
  const bool has_environment = process && process->environment;
  return {Cell(std::to_string(event.id)),
          Cell(format_time(event.when), Style::dim),
          process ? Cell(process->app.name) : Cell(),
          has_environment ? Cell(process->environment->name) : Cell(),
          describe_stack(event),
          describe_data(event.data)};
}

/// Where to go on, for people only: machines ask for as much as they want.
void tell_of_more(const Session& session, const std::string& cursor) {
  if (session.options.format != Format::table || !session.out.is_terminal()) return;
  const std::string line = fmt::format("more: --cursor {}\n", visible(cursor));
  std::fputs(line.c_str(), stderr);
}

int run_events(Session& session, const EventsOptions& options) {
  EventQuery query = options.query;
  for (const std::string& term : options.where) query.where.push_back(parse_pair(term, "--where"));
  const std::shared_ptr<Store> store = open_store(session.options);
  KnownProcesses processes(*store);
  Listing listing(session.out, session.options, event_columns(), event_fields());
  const std::size_t wanted = options.query.limit == 0 ? SIZE_MAX : options.query.limit;
  do {
    query.limit = std::min(wanted - listing.size(), kPageSize);
    EventPage page = store->get_events(query);
    for (const EventRecord& event : page.events) {
      const std::optional<ProcessRecord>& process = processes.get(event.process_id);
      listing.add([&] { return event_row(event, process); }, [&] { return to_json(event, process); });
    }
    query.cursor = std::move(page.next);
  } while (!query.cursor.empty() && listing.size() < wanted);
  listing.finish();
  if (!query.cursor.empty()) tell_of_more(session, query.cursor);
  return kSuccess;
}

/// What the process recorded last before it died, oldest first.
std::vector<EventRecord> breadcrumbs_of(Store& store, const EventRecord& crash) {
  constexpr std::size_t kBreadcrumbs = 20;
  std::vector<EventRecord> found =
      store
          .get_events({.to = saturated_sum(crash.when, std::chrono::microseconds(1)),
                       .process_id = crash.process_id,
                       .limit = kBreadcrumbs + 1})
          .events;
  std::erase_if(found, [&](const EventRecord& event) { return event.id == crash.id; });
  found.resize(std::min(found.size(), kBreadcrumbs));
  std::reverse(found.begin(), found.end());
  return found;
}

int run_event(Session& session, const EventOptions& options) {
  const std::shared_ptr<Store> store = open_store(session.options);
  const std::optional<EventRecord> event = store->get_event_by_id(options.id);
  if (!event) {
    throw Error(fmt::format("there is no event {}; 'codewake events' lists those there are", options.id));
  }
  const std::optional<ProcessRecord> process = store->get_process_by_id(event->process_id);
  std::vector<EventRecord> breadcrumbs;
  if (is_crash(event->data)) breadcrumbs = breadcrumbs_of(*store, *event);
  if (session.options.format == Format::table) {
    write_event_report(session.out, *event, process, breadcrumbs);
  } else if (session.options.format == Format::json) {
    Json json = to_json(*event, process);
    json["process"] = process ? to_json(*process) : Json(nullptr);
    if (is_crash(event->data)) json["breadcrumbs"] = Json::array();
    for (const EventRecord& before : breadcrumbs) json["breadcrumbs"].push_back(to_json(before, process));
    write_json(session.out, json, 2);
  } else {
    Listing listing(session.out, session.options, event_columns(), event_fields());
    listing.add([] { return Row(); }, [&] { return to_json(*event, process); });
    listing.finish();
  }
  return kSuccess;
}

void add_events(CLI::App& app, Session& session) {
  const auto options = std::make_shared<EventsOptions>();
  EventQuery& query = options->query;
  CLI::App* const command =
      add_command(app, "events", "List events, newest first",
                  {"codewake events", "codewake events --where event=order --where customer=c-1",
                   "codewake events --app shop --env production --since 24h --stacks",
                   "codewake events --since 2026-11-22 --until 2026-11-23 --limit 0 --format ndjson"});
  command
      ->add_option("--where", options->where,
                   "Only events with this attribute; may be given again: all must match")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command->add_option("--app", query.app_name, "Only events of this app")->type_name("NAME");
  command->add_option("--env", query.env_name, "Only events of this environment")->type_name("NAME");
  command->add_option("--process", query.process_id, "Only events of this process")->type_name("ID");
  add_time_option(command, "--since", query.from, "Only events at or after this time");
  add_time_option(command, "--until", query.to, "Only events before this time");
  CLI::Option* const stacks = command->add_flag_callback(
      "--stacks", [&query] { query.has_stacktrace = true; }, "Only events with a stack trace");
  stacks->option_text(" ");
  command
      ->add_flag_callback(
          "--no-stacks", [&query] { query.has_stacktrace = false; }, "Only events without a stack trace")
      ->excludes(stacks)
      ->option_text(" ")  // or the help says what they exclude
      ;
  add_limit_option(command, query.limit, 0, "At most so many events, 0 for all (default: 100)");
  command->add_option("--cursor", query.cursor, "Go on where an earlier list ended")->type_name("CURSOR");
  add_output_options(command, session);
  add_store_options(command, session);
  on_run(command, session, options, run_events);
}

void add_event(CLI::App& app, Session& session) {
  const auto options = std::make_shared<EventOptions>();
  CLI::App* const command = add_command(app, "event", "Show everything about one event",
                                        {"codewake event 42", "codewake event 42 --format json"});
  command->add_option("id", options->id, "The event's number, as 'codewake events' shows it")
      ->type_name("ID")
      ->required();
  add_output_options(command, session);
  add_store_options(command, session);
  on_run(command, session, options, run_event);
}

}  // namespace

void add_event_commands(CLI::App& app, Session& session) {
  add_events(app, session);
  add_event(app, session);
}

}  // namespace codewake::cli
