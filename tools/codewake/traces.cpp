// `codewake traces` and `codewake trace`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "codewake/trace_event.hpp"
#include "codewake/visible.hpp"
#include "command.hpp"
#include "describe_trace.hpp"
#include "json.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "perfetto.hpp"
#include "table.hpp"
#include "trace_reading.hpp"
#include "trace_tree.hpp"

namespace codewake::cli {
namespace {

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// ── traces ──

std::vector<Column> trace_columns() {
  using enum Column::Align;
  using enum Column::Fit;
  return {{"TRACE", left, fixed},       {"LAST", left, fixed},          {"MS", right, fixed},
          {"EVENTS", right, fixed},     {"ERRORS", right, fixed},       {"EXECUTIONS", right, fixed},
          {"SERVICES", left, flexible}, {"BEGINS WITH", left, flexible}};
}

std::vector<std::string> trace_fields() {
  return {"trace_id", "first", "last", "events", "errors", "executions", "services", "root"};
}

Row trace_row(const TraceSummary& trace) {
  return {Cell(to_hex(trace.trace_id), Style::key),
          Cell(format_time(trace.last), Style::dim),
          Cell(milliseconds(saturated_difference(trace.last, trace.first))),
          Cell(std::to_string(trace.events)),
          trace.errors == 0 ? Cell("0") : Cell(std::to_string(trace.errors), Style::alarm),
          Cell(std::to_string(trace.executions)),
          Cell(joined(trace.services)),
          Cell(trace.root)};
}

Json record_of(const TraceSummary& trace) {
  return {{"trace_id", to_hex(trace.trace_id)},
          {"first", format_time(trace.first)},
          {"last", format_time(trace.last)},
          {"events", trace.events},
          {"errors", trace.errors},
          {"executions", trace.executions},
          {"services", trace.services},
          {"root", trace.root}};
}

int run_traces(Session& session, const TraceQuery& query) {
  const std::shared_ptr<Store> store = open_store(session.options);
  Listing listing(session.out, session.options, trace_columns(), trace_fields());
  for (const TraceSummary& trace : store->get_traces(query)) {
    listing.add([&] { return trace_row(trace); }, [&] { return record_of(trace); });
  }
  listing.finish();
  return kSuccess;
}

// ── trace ──

struct TraceOptions {
  std::string id;
  bool perfetto = false;
};

std::vector<std::string> trace_event_fields() {
  return {
      "id",          "when", "kind",   "name",    "access",           "service",   "instance", "environment",
      "execution",   "step", "thread", "span_id", "upstream_span_id", "parent_id", "file",     "line",
      "duration_ns", "data", "clock",  "locks",   "process_id"};
}

Json record_of(const TraceTree& tree, const std::string& id) {
  Json executions = Json::array();
  for (const TraceExecution& execution : tree.executions()) {
    Json events = Json::array(), logged = Json::array();
    for (const TraceEntry& entry : execution.entries) {
      if (entry.traced != nullptr) {
        events.push_back(to_json(*entry.traced));
      } else {
        logged.push_back(to_json(*entry.logged, std::nullopt));
      }
    }
    executions.push_back(
        {{"execution", execution.name},
         {"service", execution.service},
         {"instance", execution.instance},
         {"span_id", to_hex(execution.span_id)},
         {"parent", execution.parent ? Json(tree.executions()[*execution.parent].name) : Json(nullptr)},
         {"events", std::move(events)},
         {"logged", std::move(logged)}});
  }
  return {{"trace_id", id},
          {"first", format_time(tree.first())},
          {"last", format_time(tree.last())},
          {"services", tree.services()},
          {"executions", std::move(executions)}};
}

/// The tree as people read it: each execution under what began it.
class TreeTable {
 public:
  TreeTable(Output& output, const TraceTree& tree)
      : tree_(tree),
        table_(output, {{"MS", Column::Align::right, Column::Fit::fixed},
                        {"WHAT", Column::Align::left, Column::Fit::flexible},
                        {"TOOK MS", Column::Align::right, Column::Fit::fixed},
                        {"WHERE", Column::Align::left, Column::Fit::flexible}}) {}

  void write() {
    for (const std::size_t root : tree_.roots()) write_execution(root, 0);
    table_.finish();
  }

 private:
  void write_execution(std::size_t number, std::size_t depth) {
    const TraceExecution& execution = tree_.executions()[number];
    const std::string name = execution.service.empty() ? "span " + to_hex(execution.span_id)
                                                       : execution.service + " #" + execution.instance;
    Cell heading(indent(depth));
    heading.append(visible(name), Style::key);
    heading.append(" " + to_hex(execution.span_id), Style::dim);
    const Time last = execution.entries.back().when();
    table_.add({offset(execution.first()), std::move(heading),
                Cell(milliseconds(saturated_difference(last, execution.first()))), Cell()});
    auto child = execution.children.begin();
    for (const TraceEntry& entry : execution.entries) {
      for (; child != execution.children.end() && is_before(*child, entry); ++child)
        write_execution(*child, depth + 1);
      write_entry(entry, depth + 1);
    }
    for (; child != execution.children.end(); ++child) write_execution(*child, depth + 1);
  }

  // Whether the child goes before the entry: it began earlier, and not by the entry itself.
  bool is_before(std::size_t child, const TraceEntry& entry) const {
    const TraceExecution& execution = tree_.executions()[child];
    return execution.first() < entry.when() &&
           (entry.traced == nullptr || execution.begun_by != entry.traced->id);
  }

  void write_entry(const TraceEntry& entry, std::size_t depth) {
    const bool is_error = entry.traced != nullptr && entry.traced->kind == TraceKind::error;
    Cell what(indent(depth));
    what.append(describe_entry(entry), is_error ? Style::alarm : Style::plain);
    const bool took = entry.traced != nullptr && entry.traced->duration.has_value();
    table_.add({offset(entry.when()), std::move(what),
                took ? Cell(milliseconds(*entry.traced->duration)) : Cell(""),
                entry.traced != nullptr ? Cell(place_of(*entry.traced), Style::dim) : Cell("")});
  }

  static std::string indent(std::size_t depth) { return std::string(2 * depth, ' '); }
  Cell offset(Time when) const {
    return {milliseconds(saturated_difference(when, tree_.first())), Style::dim};
  }

  const TraceTree& tree_;
  Table table_;
};

int run_trace(Session& session, const TraceOptions& options) {
  const TraceId id = to_trace_id(options.id);
  const std::shared_ptr<Store> store = open_store(session.options);
  const TraceTree tree = read_trace(*store, id);
  if (tree.empty()) {
    complain_of_missing(id);
    return kFailed;
  }
  if (options.perfetto) {
    write_json(session.out, to_perfetto(tree));
    return kSuccess;
  }
  switch (session.options.format) {
    case Format::json:
      write_json(session.out, record_of(tree, to_hex(id)));
      return kSuccess;
    case Format::table:
      session.out.write(fmt::format("Trace {}", to_hex(id)), Style::heading);
      session.out.write(
          fmt::format("\n  begins {}, takes {} ms: {} in {} of {}\n\n", format_time(tree.first()),
                      milliseconds(saturated_difference(tree.last(), tree.first())),
                      counted(tree.events().size() + tree.logged().size(), "event"),
                      counted(tree.executions().size(), "execution"), visible(joined(tree.services()))));
      TreeTable(session.out, tree).write();
      return kSuccess;
    default: {
      Listing listing(session.out, session.options, {}, trace_event_fields());
      for (const TraceEventRecord& event : tree.events()) {
        listing.add([] { return Row(); }, [&] { return to_json(event); });
      }
      listing.finish();
      return kSuccess;
    }
  }
}

}  // namespace

void add_trace_commands(CLI::App& app, Session& session) {
  const auto query = std::make_shared<TraceQuery>();
  CLI::App* const traces =
      add_command(app, "traces", "List traces, the latest first",
                  {"codewake traces", "codewake traces --since 1h --limit 10",
                   "codewake traces --format json | jq -r '.[] | select(.errors > 0).trace_id'"});
  add_time_option(traces, "--since", query->from, "Only those that were at work at or after this time");
  add_time_option(traces, "--until", query->to, "Only those that were at work before this time");
  add_limit_option(traces, query->limit, 1, "At most so many traces (default: 100)");
  add_output_options(traces, session);
  add_store_options(traces, session);
  on_run(traces, session, query, run_traces);

  const auto options = std::make_shared<TraceOptions>();
  CLI::App* const trace = add_command(app, "trace", "Show one trace as a tree of its executions",
                                      {"codewake trace 4bf92f3577b34da6a3ce929d0e0e4736",
                                       "codewake trace 4bf92f35-77b3-4da6-a3ce-929d0e0e4736 --format json",
                                       "codewake trace 4bf92f3577b34da6a3ce929d0e0e4736 --format perfetto > "
                                       "trace.json  # for ui.perfetto.dev"});
  trace->add_option("ID", options->id, "The trace's id: 32 hexadecimal digits, or a UUID")->required();
  add_output_options(trace, session, ExtraFormat{"perfetto", options->perfetto});
  add_store_options(trace, session);
  on_run(trace, session, options, run_trace);
}

}  // namespace codewake::cli
