#include "queue/recoverer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/scarce_memory.hpp"
#include "codewake/visible.hpp"
#include "queue/crash_report.hpp"
#include "store/storable.hpp"

namespace codewake::internal {

namespace {

// No run's name has this character.
std::string label_of(const std::string& run, uid_t user) {
  return fmt::format("{}@{}", run, user);
}

}  // namespace

/// The run that is at work.
struct Recoverer::Work {
  Work(QueueBackend& backend, std::unique_ptr<JournalSource> dead, std::string name, BatchLimits limits,
       const std::filesystem::path& folder, JournalRun& shown)
      : journal(std::move(dead)),
        label(std::move(name)),
        builder(
            label, processes, limits, [this](const CapturedStack& stack) { return journal->stack_of(stack); },
            backend.stores_trace_events()),
        letters(folder, label),
        writer(backend, builder,
               {.stored =
                    [this, &shown](std::size_t item, Id) {
                      if (builder.item(item).is_event) ++shown.stored_events;
                    },
                .rejected =
                    [this, &shown](std::size_t item, const std::string& reason) {
                      ++shown.rejected_events;
                      letters.set_aside(builder, builder.item(item), reason);
                    },
                .replaced =
                    [&shown] {
                      say_on_stderr(
                          {"the storage was replaced, or set back to an older state, while the journal "
                           "of the run ",
                           shown.run, " was being stored; what it lacks of that is lost with it"});
                    }}) {}

  std::unique_ptr<JournalSource> journal;
  std::string label;  // of the segments that it writes
  bool forgets_run = false;
  ProcessTable processes;
  BatchBuilder builder;
  DeadLetters letters;
  BatchWriter writer;
  bool knows_positions = false;
  bool has_told_crash = false;
  bool has_batch = false;
  bool has_reported = false;
  std::uint64_t told_losses = 0;   // by an event that is stored
  std::uint64_t found_events = 0;  // in the journal, now
};

Recoverer::Recoverer(QueueBackend& backend, std::unique_ptr<JournalSources> sources,
                     std::filesystem::path dead_folder, std::string fingerprint, BatchLimits limits,
                     std::string own_run)
    : backend_(backend),
      sources_(std::move(sources)),
      dead_folder_(std::move(dead_folder)),
      fingerprint_(std::move(fingerprint)),
      limits_(limits),
      own_run_(std::move(own_run)) {}

Recoverer::~Recoverer() = default;

void Recoverer::find() {
  std::vector<std::string> found = sources_->runs();
  std::erase(found, own_run_);
  left_.assign(found.begin(), found.end());
  runs_.reserve(runs_.size() + left_.size());  // Work keeps a reference
}

Recoverer::Step Recoverer::step() noexcept {
  try {
    if (work_ == nullptr && !open_next()) return left_.empty() ? Step::done : Step::progress;
    return go_on();
  } catch (const std::exception& error) {
    return note_failure(error.what(), dynamic_cast<const StoreError*>(&error) != nullptr);
  } catch (...) {
    return note_failure("the store threw something that is no exception", true);
  }
}

bool Recoverer::try_least() noexcept {
  return work_ != nullptr && work_->has_batch && work_->writer.try_least();
}

Recoverer::Step Recoverer::note_failure(const char* problem, bool store_is_away) {
  if (!runs_.empty()) {
    runs_.back().state = JournalRun::State::failed;
    if_there_is_memory([&] { runs_.back().problem = problem; });
  }
  if (store_is_away) return Step::wait;
  work_.reset();  // its lock goes, and its files stay
  return Step::progress;
}

// Whether there is a run to work on now.
bool Recoverer::open_next() {
  if (left_.empty()) return false;
  JournalRun& shown = runs_.emplace_back();
  shown.run = left_.front();
  left_.pop_front();
  const std::optional<JournalUser> owner = sources_->other_user();
  if (owner) shown.user = owner->name;
  auto journal = sources_->take_over(shown.run);
  if (journal == nullptr) {  // alive, where it is still there: its own words about itself are not asked for
    if (!sources_->has(shown.run)) runs_.pop_back();
    return false;
  }
  const std::optional<RunAbout>& about = journal->about();
  if (about) {
    shown.store = about->store;
    shown.executable = about->executable;
    shown.pid = about->pid;
    shown.started = about->started;
  }
  if (about && about->fingerprint != fingerprint_) {
    shown.state = JournalRun::State::other_store;
    return false;
  }
  journal->open();
  if (!about && journal->size_bytes() != 0) {
    shown.state = JournalRun::State::damaged;
    shown.problem = "its run.json is missing or broken";
    return false;
  }
  if (crashes_only_ && (journal->size_bytes() != 0 || journal->crash() == nullptr)) {
    runs_.pop_back();
    return false;
  }
  shown.state = JournalRun::State::failed;  // until it is done
  std::string label = owner ? label_of(shown.run, owner->number) : shown.run;
  work_ =
      std::make_unique<Work>(backend_, std::move(journal), std::move(label), limits_, dead_folder_, shown);
  if (owner) {
    work_->processes.set_user(owner->name);
    work_->builder.believe_known_ids_only();
  }
  return true;
}

// Whether the store has the process under the name of the user whose journal this is.
bool Recoverer::is_of_owner(Id process) {
  const auto owner = sources_->other_user();
  if (!owner) return true;
  const std::optional<ProcessRecord> record = backend_.get_process_by_id(process);
  return record && record->username == owner->name;
}

// Of segments `<label>/…`. A run of another user may have taken the name of a run that is not its own: then
// the positions keep its records from being stored, which harms only that user, and the ids are another
// process's.
bool Recoverer::read_positions(const std::string& label) {
  Work& work = *work_;
  bool is_owners = true;
  for (const StoredPosition& stored : backend_.get_positions(label + "/")) {
    const std::string name = stored.segment.substr(label.size() + 1);
    if (name == kCrashSegment) {
      work.journal->skip_crash();
      continue;
    }
    if (name == kLossSegment) {
      work.told_losses = std::max(work.told_losses, stored.position);
      if (label == work.label) work.builder.note_position(kLossLane, stored.position);
      continue;
    }
    const bool is_process = name.starts_with('p');
    std::uint32_t number = 0;
    std::from_chars(name.data() + (is_process ? 1 : 0), name.data() + name.size(), number);
    if (!is_process) {
      work.journal->skip_to(number, stored.position);
      if (label == work.label) work.builder.note_position(number, stored.position);
    } else if (label == work.label) {
      work.processes.note_id(static_cast<std::uint16_t>(number), stored.process_id);
    } else if (is_of_owner(stored.process_id)) {
      work.processes.set_id(static_cast<std::uint16_t>(number), stored.process_id);
    } else {
      is_owners = false;
    }
  }
  return is_owners;
}

// What root stores for another user is noted apart, so that no user's journal can move the positions of a run
// that has its name; the owner goes on behind both.
void Recoverer::read_positions() {
  Work& work = *work_;
  const JournalRun& shown = runs_.back();
  work.forgets_run = read_positions(shown.run);
  read_positions(label_of(shown.run, sources_->other_user() ? sources_->other_user()->number : geteuid()));
  work.processes.set_stand_in({.run_ts = shown.started,
                               .app_name = shown.executable.empty() ? "unknown" : shown.executable,
                               .pid = shown.pid,
                               .exe_path = shown.executable});
  work.knows_positions = true;
}

Recoverer::Step Recoverer::go_on() {
  Work& work = *work_;
  JournalRun& shown = runs_.back();
  if (!work.knows_positions) read_positions();
  if (!work.has_batch && !begin_batch()) return Step::progress;
  const BatchWriter::Outcome outcome = work.writer.attempt();
  if (outcome == BatchWriter::Outcome::wait) {
    shown.problem = work.writer.problem();
    return Step::wait;
  }
  shown.problem.clear();
  if (outcome == BatchWriter::Outcome::progress) return Step::progress;
  // At once: where the program ends now, no journal stays behind whose events are all stored.
  begin_batch();
  return Step::progress;
}

// Whether there is one; a journal without any more is done with.
bool Recoverer::begin_batch() {
  work_->has_batch = false;
  if (!collect()) {
    finish();
    return false;
  }
  work_->writer.begin();
  work_->has_batch = true;
  return true;
}

// Whether there was anything.
bool Recoverer::collect() {
  Work& work = *work_;
  work.builder.clear();
  work.journal->collect([&](const TakenRecord& record) {
    return work.builder.add(record, [&](const TakenRecord& external, std::string& content) {
      const std::error_code error = work.journal->read_external(external, content);
      // What cannot be read now may be read later, and the journal stays.
      const bool is_for_good =
          error == std::errc::bad_message || error == std::errc::no_such_file_or_directory;
      if (error && !is_for_good) throw std::system_error(error, "a large event");
      return error;
    });
  });
  if (work.builder.size() == 0 && !std::exchange(work.has_told_crash, true)) {
    work.found_events = runs_.back().stored_events + runs_.back().rejected_events;
    add_crash();
  }
  if (work.builder.size() == 0 && !std::exchange(work.has_reported, true)) add_reports();
  return work.builder.size() != 0;
}

// Behind the events that led to it.
void Recoverer::add_crash() {
  Work& work = *work_;
  const CrashPage* const page = work.journal->crash();
  if (page == nullptr) return;
  CrashReport crash = report_of(*page, work.journal->crash_stack());
  // An id that another user's journal names may be any process's.
  if (!runs_.back().user.empty() && crash.process_id && !work.processes.has_id(*crash.process_id))
    crash.process_id.reset();
  if (!crash.process_id && work.processes.find_introduced(crash.process) == nullptr && crash.process_info) {
    work.processes.introduce(crash.process, to_storable(*crash.process_info));
  }
  if (!crash.process_id && work.processes.find(crash.process) == nullptr) return;
  work.builder.add_crash(crash);
  runs_.back().crash = crash.summary;
}

// What the run would have told of itself, and what became of its journal.
void Recoverer::add_reports() {
  Work& work = *work_;
  JournalRun& shown = runs_.back();
  const JournalSource::Damage damage = work.journal->damage();
  shown.skipped_bytes = damage.skipped_bytes;
  std::vector<Attribute> report;
  const auto add = [&](const char* key, std::uint64_t number) {
    if (number != 0) report.emplace_back(key, std::to_string(number));
  };
  const std::uint64_t told = std::max(damage.reported_losses, work.told_losses);
  const std::uint64_t lost = damage.losses > told ? damage.losses - told : 0;
  // What was reported beyond the losses is a front that is gone.
  const bool has_told_gone = work.told_losses > damage.losses;
  const std::uint64_t gone = damage.gone_events - std::min(damage.gone_events, work.found_events);
  shown.lost_events = has_told_gone ? work.told_losses - damage.losses : gone;
  add("lost", lost);
  add("lost_with_memory", has_told_gone ? 0 : gone);
  add("skipped_bytes", shown.skipped_bytes);
  add("unreadable_events", work.builder.unreadable_events());
  add("unknown_records", work.builder.unknown_records());
  if (report.empty()) return;
  report.insert(report.begin(), Attribute("event", "codewake.loss"));
  report.insert(report.begin() + 1, Attribute("journal", shown.run));
  const auto& processes = work.processes.entries();
  const std::uint16_t process = processes.empty() ? 1 : processes.rbegin()->first;
  if (work.processes.find(process) == nullptr) return;
  const std::uint64_t told_now = has_told_gone ? 0 : lost + gone;
  work.builder.add_report(process, now(), report, told_now != 0 ? damage.losses + gone : 0);
}

void Recoverer::finish() {
  JournalRun& shown = runs_.back();
  const std::unique_ptr<Work> work = std::move(work_);
  // The files first: positions that no journal needs any more do no harm, files without positions would.
  const std::error_code error = work->journal->remove();
  if (error) {
    shown.problem = fmt::format("its files cannot be deleted: {}", error.message());
    return;
  }
  shown.state = shown.lost_events == 0 ? JournalRun::State::recovered : JournalRun::State::incomplete;
  if (shown.lost_events != 0)
    shown.problem = fmt::format("its part in memory is gone: {} events or more are lost", shown.lost_events);
  try {
    if (work->forgets_run) backend_.forget_positions(shown.run + "/");
    const auto owner = sources_->other_user();
    backend_.forget_positions(label_of(shown.run, owner ? owner->number : geteuid()) + "/");
  } catch (...) {
    // The rows stay, of a journal that is no more.
  }
}

}  // namespace codewake::internal
