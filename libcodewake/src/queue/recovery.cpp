#include "codewake/recovery.hpp"

#include <thread>
#include <typeinfo>

#include "codewake/config.hpp"
#include "queue/fingerprint.hpp"
#include "queue/recoverer.hpp"
#include "queue/store_as_backend.hpp"

namespace codewake {
std::vector<JournalRun> recover_journals(Store& store, const RecoveryOptions& options) {
  internal::StoreAsBackend backend(store);
  const internal::QueueTarget target{
      .identity = store.identity(), .class_name = typeid(store).name(), .parameters = options.parameters};
  const auto folder =
      options.journal_folder.empty() ? internal::default_journal_folder() : options.journal_folder;
  internal::Recoverer recoverer(backend, folder, internal::fingerprint_of(target), {.events = 10'000}, {});
  recoverer.find();
  using Step = internal::Recoverer::Step;
  while (true) {
    const Step step = recoverer.step();
    if (options.progress && !recoverer.runs().empty()) options.progress(recoverer.runs().back());
    if (step == Step::done) break;
    if (step == Step::wait && !recoverer.try_least()) break;  // whoever called decides whether to try again
  }
  return recoverer.runs();
}

std::string_view to_string(JournalRun::State state) noexcept {
  switch (state) {
    case JournalRun::State::recovered:
      return "recovered";
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
