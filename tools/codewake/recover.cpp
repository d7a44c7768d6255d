// `codewake recover`: stores what dead programs left in their journals.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "codewake/recovery.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "json.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

struct RecoverOptions {
  std::string journal_folder;
  bool all_users = false;
};

std::string started_text(const JournalRun& run) {
  return run.started == Time() ? "" : format_time(run.started);
}

Row to_row(const JournalRun& run, bool with_user) {
  const bool is_good = run.state == JournalRun::State::recovered || run.state == JournalRun::State::alive ||
                       run.state == JournalRun::State::other_store;
  const Style style = is_good ? Style::plain : Style::alarm;
  Row row = {Cell(run.run),
             Cell(to_string(run.state), style),
             Cell(std::to_string(run.stored_events)),
             Cell(std::to_string(run.rejected_events)),
             Cell(std::to_string(run.skipped_bytes)),
             Cell(std::to_string(run.lost_events)),
             Cell(run.crash, Style::alarm),
             Cell(started_text(run), Style::dim),
             Cell(run.executable),
             Cell(run.store),
             Cell(run.problem, Style::alarm)};
  if (with_user) row.insert(row.begin() + 1, Cell(run.user.empty() ? "root" : run.user));
  return row;
}

Json to_json(const JournalRun& run) {
  return {{"run", run.run},
          {"state", to_string(run.state)},
          {"events", run.stored_events},
          {"rejected", run.rejected_events},
          {"skipped_bytes", run.skipped_bytes},
          {"lost", run.lost_events},
          {"crash", run.crash.empty() ? Json(nullptr) : Json(run.crash)},
          {"started", started_text(run)},
          {"executable", run.executable},
          {"pid", run.pid},
          {"user", run.user.empty() ? Json(nullptr) : Json(run.user)},
          {"store", run.store},
          {"problem", run.problem}};
}

int run_recover(Session& session, const RecoverOptions& options) {
  using enum Column::Align;
  using enum Column::Fit;
  const Config config = load_config(session.options);
  const std::shared_ptr<Store> store = open_store(session.options);
  RecoveryOptions recovery{.all_users = options.all_users, .parameters = config.store.parameters};
  if (!options.journal_folder.empty()) {
    recovery.journal_folder = options.journal_folder;
  } else if (config.queue.journal && *config.queue.journal != "memory") {
    recovery.journal_folder = *config.queue.journal;
  }
  std::vector<JournalRun> runs;
  {
    Progress progress;
    recovery.progress = [&](const JournalRun& run) {
      progress.show(fmt::format("{}: {} events", visible(run.run), run.stored_events));
    };
    runs = recover_journals(*store, recovery);
  }
  std::vector<Column> columns = {
      {"RUN", left, flexible},    {"STATE", left, fixed},          {"EVENTS", right, fixed},
      {"REJECTED", right, fixed}, {"SKIPPED BYTES", right, fixed}, {"LOST", right, fixed},
      {"CRASH", left, fixed},     {"STARTED", left, fixed},        {"EXECUTABLE", left, flexible},
      {"STORE", left, flexible},  {"PROBLEM", left, flexible}};
  if (options.all_users) columns.insert(columns.begin() + 1, {"USER", left, fixed});
  Listing listing(session.out, session.options, columns,
                  {"run", "state", "events", "rejected", "skipped_bytes", "lost", "crash", "started",
                   "executable", "pid", "user", "store", "problem"});
  for (const JournalRun& run : runs) {
    listing.add([&] { return to_row(run, options.all_users); }, [&] { return to_json(run); });
  }
  listing.finish();
  const bool failed = std::any_of(runs.begin(), runs.end(),
                                  [](const JournalRun& r) { return r.state == JournalRun::State::failed; });
  return failed ? kFailed : kSuccess;
}

}  // namespace

void add_recover_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<RecoverOptions>();
  CLI::App* const recover = add_command(
      app, "recover",
      "Store what programs that died left in their journals, and list the journals of other stores",
      {"codewake recover", "codewake recover --journal /var/lib/shop/journal", "codewake recover --all-users",
       "codewake recover --store sqlite:////var/lib/shop/wake.sqlite --format json"});
  recover->add_option("--journal", options->journal_folder, "Where the programs keep their journals")
      ->type_name("FOLDER");
  recover->add_flag("--all-users", options->all_users,
                    "The journals of all users, each read by a process that has become that user; for root");
  add_output_options(recover, session);
  add_store_options(recover, session);
  on_run(recover, session, options, run_recover);
}

}  // namespace codewake::cli
