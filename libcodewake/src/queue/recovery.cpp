#include "codewake/recovery.hpp"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <typeinfo>
#include <utility>

#include "journal/places.hpp"
#include "queue/fingerprint.hpp"
#include "queue/foreign_journals.hpp"
#include "queue/own_journals.hpp"
#include "queue/recoverer.hpp"
#include "queue/store_as_backend.hpp"

namespace codewake {
namespace {

// Appends to `runs`. False where the store is away.
bool recover_all(internal::Recoverer& recoverer, const RecoveryOptions& options,
                 std::vector<JournalRun>& runs) {
  recoverer.find();
  using Step = internal::Recoverer::Step;
  Step step = Step::progress;
  while (step != Step::done) {
    step = recoverer.step();
    if (options.progress && !recoverer.runs().empty()) options.progress(recoverer.runs().back());
    if (step == Step::wait && !recoverer.try_least()) break;  // the caller decides whether to try again
  }
  runs.insert(runs.end(), recoverer.runs().begin(), recoverer.runs().end());
  return step == Step::done;
}

}  // namespace

std::vector<JournalRun> recover_journals(Store& store, const RecoveryOptions& options) {
  internal::StoreAsBackend backend(store);
  const std::string fingerprint = internal::fingerprint_of(
      {.identity = store.identity(), .class_name = typeid(store).name(), .parameters = options.parameters});
  if (options.all_users && geteuid() != 0)
    throw std::system_error(EPERM, std::generic_category(), "only root recovers the journals of other users");
  std::vector<std::filesystem::path> folders;
  if (options.journal_folder.empty()) {
    folders = internal::default_journal_folders();
  } else {
    folders.push_back(std::filesystem::absolute(options.journal_folder));
  }
  const std::filesystem::path own = folders.empty() ? internal::default_journal_folder() : folders.front();
  std::vector<JournalRun> runs;
  const auto recover = [&](std::unique_ptr<internal::JournalSources> sources,
                           const std::filesystem::path& dead) {
    internal::Recoverer recoverer(backend, std::move(sources), dead, fingerprint, {.events = 10'000}, {});
    return recover_all(recoverer, options, runs);
  };
  bool goes_on = true;
  for (const std::filesystem::path& folder : folders)
    goes_on = goes_on && recover(std::make_unique<internal::OwnJournals>(folder), folder);
  if (!options.all_users) return runs;
  for (const internal::JournalOwner& owner : internal::journal_owners(own)) {
    if (!goes_on) break;
    try {
      goes_on = recover(std::make_unique<internal::ForeignJournals>(owner, own), own);
    } catch (const std::exception& error) {
      runs.push_back({.state = JournalRun::State::failed, .user = owner.name, .problem = error.what()});
    }
  }
  return runs;
}

std::string_view to_string(JournalRun::State state) noexcept {
  switch (state) {
    case JournalRun::State::recovered:
      return "recovered";
    case JournalRun::State::incomplete:
      return "incomplete";
    case JournalRun::State::alive:
      return "alive";
    case JournalRun::State::other_store:
      return "other store";
    case JournalRun::State::damaged:
      return "damaged";
    case JournalRun::State::failed:
      return "failed";
  }
  return "unknown";
}

}  // namespace codewake
