// `codewake symbolize`: resolves stored frames of which too little was known when they were stored.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codewake/errors.hpp"
#include "codewake/stacktrace.hpp"
#include "codewake/store.hpp"
#include "command.hpp"
#include "listing.hpp"
#include "output.hpp"
#include "progress.hpp"
#include "slices.hpp"
#include "table.hpp"

namespace codewake::cli {
namespace {

/// Of one transaction.
constexpr std::size_t kSlice = 100;

struct SymbolizeOptions {
  bool dry_run = false;
  std::vector<std::string> sources;
};

/// What was done, or would be.
struct Symbolized {
  std::string_view state = "symbolized";
  std::uint64_t examined = 0;  ///< stack traces with a frame that was not resolved
  std::uint64_t resolved = 0;  ///< of these, with frames that tell more now
  std::uint64_t merged = 0;    ///< of these, the same as another by that
  double seconds = 0;
};

/// Those that can be resolved, resolved.
std::vector<StacktraceRecord> resolve(std::vector<StacktraceRecord> stacktraces,
                                      const std::vector<std::string>& sources) {
  std::erase_if(stacktraces,
                [&](StacktraceRecord& stacktrace) { return !symbolize(stacktrace.frames, sources); });
  return stacktraces;
}

void symbolize_all(Store& store, const SymbolizeOptions& options, Symbolized& symbolized) {
  end_between_slices();
  Progress progress;
  // Counting takes a while; only who looks at the bar has a use for it.
  const std::uint64_t all = progress.is_shown() ? store.count_stacktraces_to_symbolize() : 0;
  Id last = 0;
  while (true) {
    if (is_interrupted()) {
      symbolized.state = kInterrupted;
      return;
    }
    progress.show(bar(symbolized.examined, all, "stack traces"));
    std::vector<StacktraceRecord> slice = store.get_stacktraces_to_symbolize(last, kSlice);
    if (slice.empty()) return;
    last = slice.back().id;
    const std::size_t examined = slice.size();
    const std::vector<StacktraceRecord> resolved = resolve(std::move(slice), options.sources);
    if (options.dry_run) {
      symbolized.resolved += resolved.size();
    } else if (!resolved.empty()) {
      const FramesReplaced replaced = store.replace_frames(resolved);
      symbolized.resolved += replaced.replaced + replaced.merged;
      symbolized.merged += replaced.merged;
    }
    symbolized.examined += examined;
  }
}

Row to_row(const Symbolized& symbolized) {
  return {Cell(std::string(symbolized.state)), Cell(std::to_string(symbolized.examined)),
          Cell(std::to_string(symbolized.resolved)), Cell(std::to_string(symbolized.merged)),
          Cell(fmt::format("{:.3f}", symbolized.seconds))};
}

Json to_json(const Symbolized& symbolized) {
  return {{"state", symbolized.state},
          {"stacktraces", symbolized.examined},
          {"resolved", symbolized.resolved},
          {"merged", symbolized.merged},
          {"seconds", symbolized.seconds}};
}

// Absolute, as the frames name files; a link is followed once, here.
std::vector<std::string> resolved_folders(const std::vector<std::string>& folders) {
  std::vector<std::string> resolved;
  for (const std::string& folder : folders) {
    const std::filesystem::path absolute = std::filesystem::absolute(folder).lexically_normal();
    const std::filesystem::path canonical = std::filesystem::canonical(folder);
    resolved.push_back(absolute.string());
    if (canonical != absolute) resolved.push_back(canonical.string());
  }
  return resolved;
}

int run_symbolize(Session& session, const SymbolizeOptions& options) {
  using enum Column::Align;
  using enum Column::Fit;
  const auto begin = std::chrono::steady_clock::now();
  Symbolized symbolized;
  if (options.dry_run) symbolized.state = "would symbolize";
  const std::shared_ptr<Store> store = open_store(session.options);
  std::optional<StoreError> failure;
  try {
    symbolize_all(*store, {.dry_run = options.dry_run, .sources = resolved_folders(options.sources)},
                  symbolized);
  } catch (const StoreError& error) {
    if (symbolized.examined == 0) throw;
    symbolized.state = "failed";
    failure = error;
  }
  symbolized.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  Listing listing(session.out, session.options,
                  {{"STATE", left, fixed},
                   {"STACK TRACES", right, fixed},
                   {"RESOLVED", right, fixed},
                   {"MERGED", right, fixed},
                   {"SECONDS", right, fixed}},
                  {"state", "stacktraces", "resolved", "merged", "seconds"});
  listing.add([&] { return to_row(symbolized); }, [&] { return to_json(symbolized); });
  listing.finish();
  if (failure) complain(failure->what());
  return failure || symbolized.state == kInterrupted ? kFailed : kSuccess;
}

}  // namespace

void add_symbolize_command(CLI::App& app, Session& session) {
  const auto options = std::make_shared<SymbolizeOptions>();
  CLI::App* const command = add_command(
      app, "symbolize",
      "Resolve stored stack traces whose functions or lines were not known, from debug files installed since",
      {"codewake symbolize", "codewake symbolize --dry-run", "codewake symbolize --sources /home/build/shop",
       "codewake symbolize --store sqlite:////var/lib/shop/wake.sqlite --format json"});
  command->add_flag("--dry-run", options->dry_run, "Only count what could be resolved");
  command
      ->add_option(
          "--sources", options->sources,
          "A folder whose source files may be read, for the lines of the code; may be given repeatedly. "
          "Without it no source line is read: stored frames may name any file")
      ->type_name("FOLDER")
      ->allow_extra_args(false)
      ->check(CLI::ExistingDirectory);
  add_output_options(command, session);
  add_store_options(command, session);
  on_run(command, session, options, run_symbolize);
}

}  // namespace codewake::cli
