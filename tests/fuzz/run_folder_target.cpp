#include <fcntl.h>
#include <array>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.hpp"
#include "base/folder.hpp"
#include "codewake/utf8.hpp"
#include "fuzz/journal_repair.hpp"
#include "fuzz/targets.hpp"
#include "journal/format.hpp"
#include "journal/run_folder.hpp"
#include "queue/own_journals.hpp"
#include "queue/recoverer.hpp"
#include "stacktrace/crash_page.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

using namespace codewake::internal;

constexpr const char* kRun = "host-1-1-a-b-c-d-e";
constexpr const char* kFingerprint = "fuzz";

void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

/// Takes what a store must be able to rely on.
class CheckingBackend final : public QueueBackend {
 public:
  BatchResult write(const Batch& batch) override {
    BatchResult result;
    for (const BatchProcess& process : batch.processes) {
      require(process.id > 0 || (process.id == 0 && process.info != nullptr), "a process is none");
      result.process_ids.push_back(process.id > 0 ? process.id : ++last_id_);
    }
    for (const BatchEvent& event : batch.events) {
      require(event.process < batch.processes.size(), "an event without a process");
      for (const AttributeView& attribute : event.data) {
        require(is_storable(attribute.key), "a key that cannot be stored");
        require(!attribute.value || is_storable(*attribute.value), "a value that cannot be stored");
      }
      if (event.stacktrace != nullptr) static_cast<void>(event.stacktrace->frames());
      result.event_ids.push_back(++last_id_);
    }
    for (const BatchTraceEvent& event : batch.trace_events)
      require(event.process < batch.processes.size(), "a trace event without a process");
    for (const JournalPosition& position : batch.positions) {
      require(position.segment.starts_with(kRun), "a position of another run");
      require(position.process < batch.processes.size(), "a position without a process");
    }
    return result;
  }
  bool stores_trace_events() const noexcept override { return true; }
  std::optional<EventRecord> get_event_by_id(Id) override { return std::nullopt; }
  std::optional<ProcessRecord> get_process_by_id(Id) override { return std::nullopt; }
  std::vector<StoredPosition> get_positions(std::string_view) override { return {}; }
  void forget_positions(std::string_view) override {}
  bool shutdown(std::chrono::nanoseconds) override { return true; }
  void at_fork(ForkPhase) noexcept override {}
  void set_process_id(Id) noexcept override {}

 private:
  Id last_id_ = 0;
};

// So that the fuzzer comes to what a page that is whole leads to.
void repair_crash(std::string& bytes) {
  bytes.resize(sizeof(CrashPage));
  std::memcpy(bytes.data(), kCrashMagic, sizeof kCrashMagic);
  const std::uint32_t version = kCrashVersion;
  std::memcpy(bytes.data() + offsetof(CrashPage, version), &version, sizeof version);
}

void repair_account(std::string& bytes) {
  bytes.resize(sizeof(AccountHeader));
  AccountHeader header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  std::memcpy(header.magic, kAccountMagic, sizeof kAccountMagic);
  header.version = kAccountVersion;
  header.crc = crc32c(&header.accepted, sizeof header - offsetof(AccountHeader, accepted));
  std::memcpy(bytes.data(), &header, sizeof header);
}

void write_files(const Folder& folder, std::string_view input) {
  static constexpr std::array kNames = {"front",    "spill-000001", "spill-000002", "crash",  "modules.json",
                                        "run.json", "large-1-0",    "large-0-0",    "account"};
  while (input.size() >= 4) {
    const char* const name = kNames[static_cast<unsigned char>(input[0]) % kNames.size()];
    const bool repair = (input[1] & 1) != 0;
    const auto byte = [&](std::size_t at) {
      return static_cast<std::size_t>(static_cast<unsigned char>(input[at]));
    };
    const std::size_t size = byte(2) | byte(3) << 8;
    std::string bytes(input.substr(4, size));
    input.remove_prefix(std::min(4 + size, input.size()));
    const std::string_view file(name);
    if (repair && file == "front") repair_front(bytes);
    if (repair && file.starts_with("spill")) repair_spill(bytes);
    if (repair && file == "crash") repair_crash(bytes);
    if (repair && file == "account") repair_account(bytes);
    static_cast<void>(folder.remove_file(name));  // the last of a name counts
    if (const std::error_code error = folder.write_new_file(name, bytes, false))
      throw std::system_error(error);
  }
}

}  // namespace

void fuzz_run_folder(std::string_view input) {
  static const TemporaryFolder temporary;
  const Folder root = Folder::open(temporary.path());
  {
    RunFolder run = RunFolder::create(temporary.path(), kRun);
    run.write_about({.run = kRun, .fingerprint = kFingerprint, .executable = "fuzz"});
    write_files(*run.folder(), input);
  }
  CheckingBackend backend;
  Recoverer recoverer(backend, std::make_unique<OwnJournals>(temporary.path()), {}, kFingerprint, {}, {});
  recoverer.find();
  Recoverer::Step step = Recoverer::Step::progress;
  for (std::size_t steps = 0; step == Recoverer::Step::progress; ++steps) {
    require(steps < 10'000, "recovery has no end");
    step = recoverer.step();
  }
  require(step == Recoverer::Step::done, "the store is taken for away");
  require(recoverer.runs().size() == 1, "the run is not found");
  const JournalRun::State state = recoverer.runs()[0].state;
  const bool is_gone = !root.has(kRun);
  require(is_gone == (state == JournalRun::State::recovered || state == JournalRun::State::incomplete),
          "a run that is recovered stays, or another one goes");
  if (!is_gone && root.remove_tree(kRun)) throw std::runtime_error("the run's folder stays");
}

}  // namespace codewake::testing
