// `codewake retain`: removes what is older than it needs to be.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "age.hpp"
#include "codewake/errors.hpp"
#include "codewake/store.hpp"
#include "codewake/time.hpp"
#include "command.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "slices.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

/// Of one transaction: writers wait for some tenths of a second at most.
constexpr std::size_t kSlice = 10'000;

struct RetainOptions {
  std::chrono::nanoseconds older_than{0};
  bool dry_run = false;
};

/// What was done, or would be.
struct Retained {
  std::string_view state = "removed";
  Time before = {};
  Removed removed = {};
  double seconds = 0;
};

void add(Removed& total, const Removed& slice) {
  total.events += slice.events;
  total.trace_events += slice.trace_events;
  total.stacktraces += slice.stacktraces;
  total.processes += slice.processes;
}

/// What the bar counts.
std::uint64_t events_of(const Removed& removed) {
  return removed.events + removed.trace_events;
}

void remove(Store& store, Retained& retained) {
  end_between_slices();
  Progress progress;
  // Counting takes a while; only who looks at the bar has a use for it.
  const std::uint64_t all = progress.is_shown() ? events_of(store.count_older(retained.before)) : 0;
  while (true) {
    if (is_interrupted()) {
      retained.state = kInterrupted;
      return;
    }
    progress.show(bar(events_of(retained.removed), all, "events"));
    const Removed slice = store.remove_older(retained.before, kSlice);
    if (slice.empty()) return;
    add(retained.removed, slice);
  }
}

Row to_row(const Retained& retained) {
  return {Cell(std::string(retained.state)),
          Cell(std::to_string(retained.removed.events)),
          Cell(std::to_string(retained.removed.trace_events)),
          Cell(std::to_string(retained.removed.stacktraces)),
          Cell(std::to_string(retained.removed.processes)),
          Cell(format_time(retained.before), Style::dim),
          Cell(fmt::format("{:.3f}", retained.seconds))};
}

Json to_json(const Retained& retained) {
  return {{"state", retained.state},
          {"events", retained.removed.events},
          {"trace_events", retained.removed.trace_events},
          {"stacktraces", retained.removed.stacktraces},
          {"processes", retained.removed.processes},
          {"before", format_time(retained.before)},
          {"seconds", retained.seconds}};
}

int run_retain(Session& session, const RetainOptions& options) {
  using enum Column::Align;
  using enum Column::Fit;
  const auto begin = std::chrono::steady_clock::now();
  Retained retained{.before = now() - options.older_than};
  const std::shared_ptr<Store> store = open_store(session.options);
  std::optional<StoreError> failure;
  try {
    if (options.dry_run) {
      retained.state = "would remove";
      retained.removed = store->count_older(retained.before);
    } else {
      remove(*store, retained);
    }
  } catch (const StoreError& error) {
    if (retained.removed.empty()) throw;
    retained.state = "failed";
    failure = error;
  }
  retained.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Listing listing(session.out, session.options,
                  {{"STATE", left, fixed},
                   {"EVENTS", right, fixed},
                   {"TRACE EVENTS", right, fixed},
                   {"STACK TRACES", right, fixed},
                   {"PROCESSES", right, fixed},
                   {"OLDER THAN", left, fixed},
                   {"SECONDS", right, fixed}},
                  {"state", "events", "trace_events", "stacktraces", "processes", "before", "seconds"});
  listing.add([&] { return to_row(retained); }, [&] { return to_json(retained); });
  listing.finish();
  if (failure) complain(failure->what());
  return failure || retained.state == kInterrupted ? kFailed : kSuccess;
}

}  // namespace

void add_retain_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<RetainOptions>();
  CLI::App* const command = add_command(
      app, "retain",
      "Remove events and trace events older than an age, with the stack traces and processes that are left "
      "without any",
      {"codewake retain --older-than 90d", "codewake retain --older-than 90d --dry-run",
       "codewake retain --older-than 2w --store sqlite:////var/lib/shop/wake.sqlite --format json"});
  command
      ->add_option_function<std::string>(
          "--older-than",
          [options](const std::string& text) {
            const auto age = parse_age(text);
            if (!age) {
              throw CLI::ValidationError(
                  "--older-than",
                  fmt::format("'{}' is no age; write a number from 1 with its unit, m (minutes), h, d or w, "
                              "such as 12h or 90d",
                              text));
            }
            options->older_than = *age;
          },
          "Remove what is older than this")
      ->type_name("AGE")
      ->required();
  command->add_flag("--dry-run", options->dry_run, "Only count what would be removed");
  add_output_options(command, session);
  add_store_options(command, session);
  on_run(command, session, options, run_retain);
}

}  // namespace codewake::cli
