#include "queue/crash_run.hpp"

#include <sys/auxv.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <typeinfo>
#include <utility>

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

QueueTarget target_of(const Store& store, const std::vector<std::string>& parameters) {
  return {.identity = store.identity(), .class_name = typeid(store).name(), .parameters = parameters};
}

}  // namespace

void expect_crash(const QueueTarget& target, const Config::Queue& options, const CrashSubject& subject) {
  const std::filesystem::path journal = journal_folder(options, target);
  if (!journal.empty())
    prepare_crash_runs(choose_front_root(journal, sizeof(CrashPage)), about_run(target), subject);
}

void expect_crash(const Store& store, const Config::Queue& options,
                  const std::vector<std::string>& parameters, const CrashSubject& subject) {
  expect_crash(target_of(store, parameters), options, subject);
}

CrashRun::CrashRun(const Store& store, const Config::Queue& options,
                   const std::vector<std::string>& parameters, CrashSubject subject)
    : subject_(std::move(subject)) {
  const QueueTarget target = target_of(store, parameters);
  const std::filesystem::path journal = journal_folder(options, target);
  if (journal.empty()) return;
  about_ = about_run(target);
  folder_ = RunFolder::create([&] { return make_front_root(journal, sizeof(CrashPage)); }, about_.run);
  folder_->write_about(about_);
  use_crash_page(make_crash_page(*folder_->folder(), subject_));
  prepare_crash_runs(folder_->root()->path(), about_, subject_);
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
    const std::filesystem::path journal = journal_folder(options, target);
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
