#include "queue/crash_run.hpp"

#include <sys/auxv.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <filesystem>
#include <system_error>
#include <typeinfo>
#include <utility>
#include <vector>

#include "codewake/trusted_path.hpp"
#include "codewake/visible.hpp"
#include "journal/places.hpp"
#include "queue/fingerprint.hpp"
#include "queue/own_journals.hpp"
#include "queue/recoverer.hpp"
#include "queue/run_about.hpp"
#include "queue/store_as_backend.hpp"
#include "stacktrace/crash_handler.hpp"

namespace codewake::internal {
namespace {

namespace fs = std::filesystem;

QueueTarget target_of(const Store& store, const std::vector<std::string>& parameters) {
  return {.identity = store.identity(), .class_name = typeid(store).name(), .parameters = parameters};
}

bool is_default_journal(const Config::Queue& options) {
  return !options.journal || options.journal->empty();
}

// On disk first: a crash outlives what shared memory goes with.
std::vector<fs::path> crash_roots(const Config::Queue& options, const fs::path& journal) {
  std::vector<fs::path> roots;
  if (!is_default_journal(options) || why_not_trusted(journal).empty())
    roots.push_back(fs::absolute(journal));
  try {
    roots.push_back(choose_front_root(journal, sizeof(CrashPage)));
  } catch (const std::system_error&) {
    if (roots.empty()) throw;
  }
  return roots;
}

}  // namespace

void expect_crash(const QueueTarget& target, const Config::Queue& options, const CrashSubject& subject) {
  const fs::path journal = journal_folder(options, target);
  if (!journal.empty()) prepare_crash_runs(crash_roots(options, journal), about_run(target), subject);
}

void expect_crash(const Store& store, const Config::Queue& options,
                  const std::vector<std::string>& parameters, const CrashSubject& subject) {
  expect_crash(target_of(store, parameters), options, subject);
}

std::optional<CrashPlan> plan_crash_runs(const Store& store, const Config::Queue& options,
                                         const std::vector<std::string>& parameters) {
  const QueueTarget target = target_of(store, parameters);
  const fs::path journal = journal_folder(options, target);
  if (journal.empty()) return std::nullopt;
  return CrashPlan{.roots = crash_roots(options, journal), .about = about_run(target)};
}

CrashRun::CrashRun(const Store& store, const Config::Queue& options,
                   const std::vector<std::string>& parameters, CrashSubject subject)
    : subject_(std::move(subject)) {
  const QueueTarget target = target_of(store, parameters);
  const fs::path journal = journal_folder(options, target);
  if (journal.empty()) return;
  about_ = about_run(target);
  const std::vector<fs::path> roots = crash_roots(options, journal);
  for (const fs::path& root : roots) {
    try {
      make_run_in(root, journal);
      // Another user may have come first with what was missing.
      if (is_default_journal(options) && !why_not_trusted(folder_->path()).empty())
        throw std::system_error(EPERM, std::generic_category(), folder_->path().string());
      use_crash_page(make_crash_page(*folder_->folder(), subject_));
      break;
    } catch (const std::system_error&) {
      if (folder_) folder_->remove();
      folder_.reset();
      if (root == roots.back()) throw;
    }
  }
  prepare_crash_runs(roots, about_, subject_);
}

void CrashRun::make_run_in(const fs::path& root, const fs::path& journal) {
  folder_ = is_front_root(root)
                ? RunFolder::create([&] { return make_front_root(journal, sizeof(CrashPage)); }, about_.run)
                : RunFolder::create(root, about_.run);
  folder_->write_about(about_);
}

void CrashRun::end() noexcept {
  if (!folder_) return;
  use_crash_page(nullptr);
  folder_->remove();
  folder_.reset();
}

void CrashRun::close_in_child() noexcept {
  if (folder_) folder_->close_in_child();
  folder_.reset();
}

void recover_crash_runs(Store& store, const Config::Queue& options,
                        const std::vector<std::string>& parameters) noexcept {
  if (getauxval(AT_SECURE) != 0) return;  // as a queue, see Run::find_dead_runs
  try {
    const QueueTarget target = target_of(store, parameters);
    const fs::path journal = journal_folder(options, target);
    if (journal.empty()) return;
    StoreAsBackend backend(store);
    Recoverer recoverer(backend, std::make_unique<OwnJournals>(journal), journal, fingerprint_of(target), {},
                        {});
    recoverer.take_crashes_only();
    recoverer.find();
    while (recoverer.step() == Recoverer::Step::progress) {
    }
    for (const JournalRun& run : recoverer.runs()) {
      if (run.state != JournalRun::State::failed) continue;
      say_on_stderr({"the crash of the run ", run.run, " could not be stored: ", run.problem});
    }
  } catch (const std::exception& error) {
    say_on_stderr({"crashes of earlier runs cannot be looked for: ", error.what()});
  }
}

}  // namespace codewake::internal
