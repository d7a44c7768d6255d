// Where the crash of a program goes whose store does not queue: into a run that has nothing else.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "codewake/config.hpp"
#include "codewake/queue_store.hpp"
#include "codewake/store.hpp"
#include "journal/crash_file.hpp"
#include "journal/run_folder.hpp"

namespace codewake::internal {

/// Makes nothing, and has a crash make a run of its own, for the store of this target. Thread-safe.
void expect_crash(const QueueTarget& target, const Config::Queue& options, const CrashSubject& subject);
void expect_crash(const Store& store, const Config::Queue& options,
                  const std::vector<std::string>& parameters, const CrashSubject& subject);

/// Where such runs lie, and what they say.
struct CrashPlan {
  std::vector<std::filesystem::path> roots;  ///< absolute, the preferred one first
  RunAbout about;
};

/// Empty where the configuration or the store want no files. Throws std::system_error where no folder can
/// have them.
std::optional<CrashPlan> plan_crash_runs(const Store& store, const Config::Queue& options,
                                         const std::vector<std::string>& parameters);

/// Thread-bound.
class CrashRun {
 public:
  /// Makes the run beside the journals and has its page used. `parameters`: those of the store. Nothing is
  /// made where the configuration or the store want no files. Throws std::system_error.
  CrashRun(const Store& store, const Config::Queue& options, const std::vector<std::string>& parameters,
           CrashSubject subject);

  /// The run ends well: its files go, and a crash that comes later makes a run of its own.
  void end() noexcept;

  /// In the child of a fork(): all stays as it is, for the parent.
  void close_in_child() noexcept;

 private:
  void make_run_in(const std::filesystem::path& root, const std::filesystem::path& journal);

  CrashSubject subject_;
  RunAbout about_;
  std::optional<RunFolder> folder_;
};

/// Stores what earlier programs with this store died of, if they did not queue either. Blocks on the store.
/// Says on stderr what does not go well; throws nothing.
void recover_crash_runs(Store& store, const Config::Queue& options,
                        const std::vector<std::string>& parameters) noexcept;

}  // namespace codewake::internal
