// Where benchmarks run: their sizes, their folder, and how far they are.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "bench/child.hpp"
#include "json.hpp"

namespace codewake::cli::bench {

/// How much is measured.
struct Sizes {
  std::size_t rounds = 5;
  std::size_t calls = 200'000;          ///< of log(), one at a time
  std::size_t burst_calls = 1'000'000;  ///< of each thread
  std::size_t commit_events = 1'000'000;
  std::size_t postgres_events = 200'000;
  std::size_t lookup_events = 1'000'000;
  std::size_t analysis_events = 1'000'000;
  std::size_t sustained_seconds = 5;
  std::size_t stack_calls = 50'000;   ///< captures, and throws
  std::size_t stack_frames = 50'000;  ///< different ones that are resolved, while memory is looked at
};

/// Says on stderr what is under way, on a line that is gone afterwards; nothing where stderr is no terminal.
class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  void say(std::string_view what);

 private:
  bool is_terminal_;
};

/// A folder of its own, and the passes that run there. Thread-bound.
class Runner {
 public:
  /// `folder`: where to make its own in; empty: where the system wants temporary files. Throws Error.
  /// `postgres`: the URL of a database; empty where there is none.
  Runner(const Sizes& sizes, const std::filesystem::path& folder,
         std::vector<std::filesystem::path> plugin_path, std::string postgres);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  /// Removes the folder.
  ~Runner();

  const Sizes& sizes() const noexcept { return sizes_; }

  const std::string& postgres() const noexcept { return postgres_; }

  /// Why the adapter of SQLite cannot be used; empty where it can.
  const std::string& adapter_problem() const noexcept { return adapter_problem_; }
  /// Why another one cannot be used.
  std::string problem_of(std::string_view module) const;

  /// `log.median, round 2 of 5` and the like.
  void say(std::string_view what) { progress_.say(what); }

  /// Runs a pass in a process that records into a new SQLite database through a queue, whose journal is in
  /// the folder, too; `variables` go over that. The request gets `database`, `folder` and `plugin_path`.
  /// Throws Error.
  Json run(Json request, const Environment& variables = {});

 private:
  void clean_up() noexcept;

  Sizes sizes_;
  std::vector<std::filesystem::path> plugin_path_;
  std::filesystem::path folder_;
  std::string postgres_;
  std::string adapter_problem_;
  Progress progress_;
};

}  // namespace codewake::cli::bench
