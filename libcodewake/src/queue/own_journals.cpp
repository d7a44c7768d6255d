#include "queue/own_journals.hpp"

#include <algorithm>
#include <utility>

#include "journal/dead_journal.hpp"
#include "journal/places.hpp"
#include "queue/crash_report.hpp"
#include "queue/modules_note.hpp"

namespace codewake::internal {
namespace {

class OwnJournal final : public JournalSource {
 public:
  explicit OwnJournal(std::unique_ptr<DeadJournal> journal) : journal_(std::move(journal)) {}

  const std::string& run() const noexcept override { return journal_->run(); }
  const std::optional<RunAbout>& about() const noexcept override { return journal_->about(); }
  void open() override {
    journal_->open();
    modules_ = read_modules(journal_->read_note(kModulesFile));
  }
  std::uint64_t size_bytes() const noexcept override { return journal_->size_bytes(); }
  void skip_to(std::uint32_t lane, std::uint64_t position) override { journal_->skip_to(lane, position); }
  void collect(const std::function<bool(const TakenRecord&)>& take) override { journal_->collect(take); }
  std::error_code read_external(const TakenRecord& record, std::string& content) override {
    return journal_->read_external(record, content);
  }
  const CrashPage* crash() const noexcept override { return journal_->crash(); }
  void skip_crash() noexcept override { journal_->skip_crash(); }
  Stacktrace stack_of(const CapturedStack& stack) override { return internal::stack_of(stack, modules_); }
  Stacktrace crash_stack() override { return internal::crash_stack(*journal_->crash(), modules_); }
  Damage damage() override {
    return {.skipped_bytes = journal_->skipped_bytes(),
            .losses = journal_->losses(),
            .gone_events = journal_->gone_events(),
            .reported_losses = journal_->reported_losses()};
  }
  std::error_code remove() override { return journal_->remove(); }

 private:
  std::unique_ptr<DeadJournal> journal_;
  std::vector<Module> modules_;
};

}  // namespace

OwnJournals::OwnJournals(std::filesystem::path journal_folder) : folder_(std::move(journal_folder)) {}

// The folders are opened anew each time: a front's goes with the last run in it, and comes again with the
// next.
std::vector<std::string> OwnJournals::runs() {
  return runs_in(open_roots(folder_));
}

bool OwnJournals::has(const std::string& run) {
  const auto roots = open_roots(folder_);
  return std::any_of(roots.begin(), roots.end(), [&](const auto& root) { return root->has(run); });
}

std::unique_ptr<JournalSource> OwnJournals::take_over(const std::string& run) {
  auto journal = DeadJournal::take_over(open_roots(folder_), run);
  return journal == nullptr ? nullptr : std::make_unique<OwnJournal>(std::move(journal));
}

}  // namespace codewake::internal
