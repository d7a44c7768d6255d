// `codewake log`: events from scripts.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/attributes.hpp"
#include "codewake/errors.hpp"
#include "codewake/event.hpp"
#include "codewake/process.hpp"
#include "codewake/records.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/utf8.hpp"
#include "command.hpp"
#include "event_line.hpp"
#include "line_reader.hpp"
#include "output.hpp"

namespace codewake::cli {
namespace {

struct LogCommandOptions {
  std::vector<std::string> pairs;
  bool from_stdin = false;
  std::string app_name;
  std::string env_name;
  std::optional<Time> when;
};

struct NewEvent {
  std::uint64_t line = 0;  ///< of the input; 0 where it came as arguments
  bool has_data = false;
  std::vector<Attribute> data = {};
};

/// Text that any store takes.
Attribute storable(const Attribute& attribute) {
  Attribute result{to_storable(attribute.key), std::nullopt};
  if (attribute.value) result.value = to_storable(*attribute.value);
  return result;
}

/// This run of the program, as the store's process, and its events.
class Recorder {
 public:
  Recorder(Session& session, const LogCommandOptions& options) : out_(session.out), when_(options.when) {
    ProcessOptions process{.store = open_store(session.options)};
    // A store that is away is said here, and not by the process, which would try again with each event.
    if (!process.store->queues()) process.store->write({});
    if (!options.app_name.empty()) process.app_name = options.app_name;
    if (!options.env_name.empty()) process.env_name = options.env_name;
    process_ = &Process::instance(std::move(process));
    if (!process_->id()) process_->flush(kPatience);
    if (!process_->id()) {
      throw StoreError(StoreError::Kind::unavailable,
                       "it has not taken the record of this process; try again later");
    }
  }

  /// Stores all of them at once and prints their ids. Throws StoreError; then none is stored.
  void record(const std::vector<NewEvent>& events) {
    const BatchProcess process{.id = *process_->id()};
    std::vector<std::vector<AttributeView>> views(events.size());
    std::vector<BatchEvent> batch_events;
    for (std::size_t i = 0; i < events.size(); ++i) {
      for (const Attribute& attribute : events[i].data) views[i].push_back(attribute.view());
      batch_events.push_back(
          {.when = when_.value_or(now()), .has_data = events[i].has_data, .data = views[i]});
    }
    const BatchResult result = process_->store()->write({.processes = {&process, 1}, .events = batch_events});
    for (const Id id : result.event_ids) out_.write(std::to_string(id) + "\n");
    out_.flush();
  }

 private:
  static constexpr std::chrono::seconds kPatience{5};

  Output& out_;
  std::optional<Time> when_;
  Process* process_ = nullptr;
};

/// What to say where the store is away in the middle of the input.
Error stopped_before(const NewEvent& event, const StoreError& error) {
  return Error(fmt::format("stopped before line {}: {}", event.line, error.what()));
}

/// Records the lines of one read together. Returns whether every one of them is stored; says which is not,
/// and why.
bool record_lines(Recorder& recorder, const std::vector<Attribute>& common,
                  const std::vector<InputLine>& lines) {
  std::vector<NewEvent> events;
  bool all_well = true;
  const auto refuse = [&all_well](std::uint64_t line, std::string_view why) {
    complain(fmt::format("line {} is not recorded: {}", line, why));
    all_well = false;
  };
  for (const InputLine& line : lines) {
    if (line.too_long) {
      refuse(line.number, fmt::format("it is longer than {} MiB", LineReader::kMaxLineBytes >> 20));
    } else if (line.text.find_first_not_of(" \t\r") != std::string::npos) {
      try {
        NewEvent event{.line = line.number, .has_data = true, .data = common};
        for (const Attribute& attribute : parse_event_line(line.text))
          event.data.push_back(storable(attribute));
        events.push_back(std::move(event));
      } catch (const EventLineError& error) {
        refuse(line.number, error.what());
      }
    }
  }
  if (events.empty()) return all_well;
  try {
    recorder.record(events);
    return all_well;
  } catch (const StoreError& error) {
    if (error.kind() != StoreError::Kind::rejected) throw stopped_before(events.front(), error);
  }
  for (const NewEvent& event : events) {  // one of them is not to be had; the others are
    try {
      recorder.record({event});
    } catch (const StoreError& error) {
      if (error.kind() != StoreError::Kind::rejected) throw stopped_before(event, error);
      refuse(event.line, error.what());
    }
  }
  return all_well;
}

int run_log(Session& session, const LogCommandOptions& options) {
  std::vector<Attribute> common;
  for (const std::string& pair : options.pairs) {
    if (pair.starts_with('-')) {
      throw UsageError(fmt::format("log: '{}' is no option; a key that begins with - goes by --stdin", pair));
    }
    common.push_back(storable(parse_pair(pair, "log")));
  }
  Recorder recorder(session, options);
  if (!options.from_stdin) {
    recorder.record({{.has_data = !common.empty(), .data = common}});
    return kSuccess;
  }
  LineReader reader(STDIN_FILENO);
  bool all_well = true;
  for (std::vector<InputLine> lines = reader.read(); !lines.empty(); lines = reader.read()) {
    all_well = record_lines(recorder, common, lines) && all_well;
  }
  return all_well ? kSuccess : kFailed;
}

}  // namespace

void add_log_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<LogCommandOptions>();
  CLI::App* const command =
      add_command(app, "log", "Record an event and print its number",
                  {"codewake log event=backup result=ok size=12345",
                   "codewake log --app nightly --env production event=start",
                   "codewake log --when 2026-11-22T03:00 event=restart 'reason=power failure'",
                   R"(jq -c '{event: .type, id}' orders.json | codewake log --stdin source=import)"});
  // An option of many values would split `[k=v,w]` at its brackets and commas, so this one only stands in the
  // help; what is left over when all options are taken is the data.
  command->add_option("data", options->pairs, "The event's attributes; split at the first =")
      ->type_name("KEY=VALUE")
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args(false);
  command->allow_extras();
  command->parse_complete_callback([command, options] { options->pairs = command->remaining(); });
  command->add_flag(
      "--stdin", options->from_stdin,
      "Record one event for each line of the input: a JSON object, or a list of [key, value] pairs; "
      "attributes given as arguments come first in each");
  command->add_option("--app", options->app_name, "The app's name, instead of the configured one")
      ->type_name("NAME");
  command->add_option("--env", options->env_name, "The environment, instead of the configured one")
      ->type_name("NAME");
  add_time_option(command, "--when", options->when, "When it happened (default: now)");
  add_store_options(command, session);
  on_run(command, session, options, run_log);
}

}  // namespace codewake::cli
