#include "queue/foreign_journals.hpp"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "journal/crash_file.hpp"
#include "journal/event_codec.hpp"
#include "journal/front.hpp"
#include "journal/places.hpp"

namespace codewake::internal {
namespace {

constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(60);
/// For all answers of one reader.
constexpr std::chrono::milliseconds kMostWaiting = std::chrono::minutes(10);
/// A user may have others of its own, in a namespace.
constexpr std::size_t kMostUnlisted = 256;
/// Of the large events of one user.
constexpr std::uint64_t kMostExternalBytesInAll = std::uint64_t{1} << 30;

[[noreturn]] void fail_by_answer() {
  throw std::runtime_error("the process that reads these journals gives an answer that is none");
}

template <class T>
T number(ByteReader& in) {
  const auto found = in.get<T>();
  if (!found) fail_by_answer();
  return *found;
}

std::string text(ByteReader& in) {
  const auto found = in.sized_text();
  if (!found) fail_by_answer();
  return std::string(*found);
}

// The owners of what lies in a folder. One that cannot be looked into tells of none.
void add_owners(const std::filesystem::path& path, std::string_view prefix, std::set<uid_t>& users) {
  try {
    const Folder folder = Folder::open(path);
    for (const std::string& name : folder.entries()) {
      FileLook found;
      if (name.starts_with(prefix) && folder.look_at(name, found) && found.is_folder)
        users.insert(found.owner);
      if (users.size() >= kMostUnlisted) return;
    }
  } catch (const std::system_error&) {
    // A folder that is not there, or that root may not read: the users that the system lists are looked at
    // anyway.
  }
}

JournalOwner owner_of(const passwd& entry) {
  int count = 256;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0)
    count = 0;  // more: it does with its own
  groups.resize(static_cast<std::size_t>(count));
  return {.user = entry.pw_uid,
          .group = entry.pw_gid,
          .name = entry.pw_name,
          .home = entry.pw_dir,
          .groups = std::move(groups)};
}

}  // namespace

std::vector<JournalOwner> journal_owners(const std::filesystem::path& journal_folder) {
  std::map<uid_t, JournalOwner> owners;
  setpwent();
  while (const passwd* const entry = getpwent()) owners.try_emplace(entry->pw_uid, owner_of(*entry));
  endpwent();
  std::set<uid_t> users;
  add_owners("/dev/shm", "code_wake-", users);
  add_owners("/run/user", "", users);
  add_owners(journal_folder, "", users);
  for (const uid_t user : users) {
    if (owners.contains(user)) continue;
    // One that the system knows and does not list, or does not know.
    const passwd* const entry = getpwuid(user);
    owners.emplace(user, entry != nullptr ? owner_of(*entry)
                                          : JournalOwner{.user = user,
                                                         .group = static_cast<gid_t>(user),
                                                         .name = std::to_string(user)});
  }
  owners.erase(0);
  std::vector<JournalOwner> sorted;
  for (auto& [user, owner] : owners) sorted.push_back(std::move(owner));
  return sorted;
}

/// The reader's process. Shared by the journal that it reads.
class ForeignJournals::Reader {
 public:
  Reader(const JournalOwner& owner, const std::filesystem::path& folder)
      : started_(start_journal_reader(owner, folder)) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  // It has nothing to end: what it was asked to do, it has done. Where it hangs in a file system of its user,
  // it is left to the system.
  ~Reader() {
    send_signal(SIGKILL);
    for (int i = 0; i < 1000 && waitpid(started_.pid, nullptr, WNOHANG) == 0; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  /// The answer. Throws std::runtime_error where it is no answer, or says that it cannot be had.
  std::string ask(Ask what, std::string_view body = {}, std::size_t most_bytes = kMostAnswerBytes) {
    if (has_failed_) throw std::runtime_error("the process that reads these journals has failed before");
    has_failed_ = true;  // unless this ends well: question and answer would not fit any more
    const auto start = std::chrono::steady_clock::now();
    started_.channel.send(static_cast<std::uint8_t>(what), body, kPatience);
    ReaderChannel::Message answer = started_.channel.receive(most_bytes, kPatience);
    waited_ += std::chrono::steady_clock::now() - start;
    has_failed_ = waited_ >= kMostWaiting;
    if (answer.kind != 0) throw std::runtime_error(answer.body);
    return std::move(answer.body);
  }

 private:
  // By a descriptor: the number of a process that has ended may be another's.
  void send_signal(int signal) const noexcept {
    if (started_.process.number() >= 0) {
      syscall(SYS_pidfd_send_signal, started_.process.number(), signal, nullptr, 0);
    } else {
      kill(started_.pid, signal);
    }
  }

  StartedReader started_;
  std::chrono::nanoseconds waited_{};
  bool has_failed_ = false;
};

class ForeignJournals::Journal final : public JournalSource {
 public:
  Journal(std::shared_ptr<Reader> reader, std::string run, std::optional<RunAbout> about)
      : reader_(std::move(reader)), run_(std::move(run)), about_(std::move(about)) {}
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;
  ~Journal() override {
    try {
      reader_->ask(Ask::release);
    } catch (const std::exception&) {
      // It has ended, and its locks with it.
    }
  }

  const std::string& run() const noexcept override { return run_; }
  const std::optional<RunAbout>& about() const noexcept override { return about_; }

  void open() override {
    const std::string answer = reader_->ask(Ask::open);
    ByteReader in(answer);
    size_bytes_ = number<std::uint64_t>(in);
    if (const auto page = in.get<CrashPage>()) crash_ = checked(std::make_unique<CrashPage>(*page));
  }
  std::uint64_t size_bytes() const noexcept override { return size_bytes_; }

  void skip_to(std::uint32_t lane, std::uint64_t position) override {
    reader_->ask(Ask::skip_to, MessageWriter().put(lane).put(position).text());
  }

  void collect(const std::function<bool(const TakenRecord&)>& take) override {
    while (true) {
      if (next_ == records_.size() && !fetch()) return;
      for (; next_ < records_.size(); ++next_) {
        if (!take(records_[next_])) return;
      }
    }
  }

  std::error_code read_external(const TakenRecord& record, std::string& content) override {
    ExternalPayload payload{};
    if (record.payload.size() < sizeof payload) return std::make_error_code(std::errc::bad_message);
    std::memcpy(&payload, record.payload.data(), sizeof payload);
    MessageWriter question;
    question.put(record.lane).put(record.position).put(payload);
    content = reader_->ask(Ask::external, question.text(), kMostExternalBytes + 1);
    if (content.empty()) fail_by_answer();
    const bool is_there = content.front() != 0;
    content.erase(0, 1);
    external_bytes_ += content.size();
    if (external_bytes_ > kMostExternalBytesInAll)
      throw std::runtime_error("its large events take more than a recoverer stores for another user");
    return is_there ? std::error_code() : std::make_error_code(std::errc::bad_message);
  }

  const CrashPage* crash() const noexcept override { return crash_.get(); }
  void skip_crash() noexcept override { crash_.reset(); }

  Stacktrace stack_of(const CapturedStack& stack) override {
    MessageWriter question;
    question.put(stack.epoch);
    for (void* const address : stack.addresses)
      question.put(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(address)));
    return stack_in(reader_->ask(Ask::stack, question.text()));
  }
  Stacktrace crash_stack() override { return stack_in(reader_->ask(Ask::crash_stack)); }

  Damage damage() override {
    const std::string answer = reader_->ask(Ask::damage);
    ByteReader in(answer);
    const auto skipped = number<std::uint64_t>(in);
    const auto losses = number<std::uint64_t>(in);
    const auto gone = number<std::uint64_t>(in);
    return {.skipped_bytes = skipped,
            .losses = losses,
            .gone_events = gone,
            .reported_losses = number<std::uint64_t>(in)};
  }

  std::error_code remove() override {
    const std::string answer = reader_->ask(Ask::remove);
    ByteReader in(answer);
    return {number<std::int32_t>(in), std::generic_category()};
  }

 private:
  // Whether there are more.
  bool fetch() {
    records_.clear();
    next_ = 0;
    answer_ = reader_->ask(Ask::records);
    ByteReader in(answer_);
    while (in.left() != 0) {
      TakenRecord record;
      record.header = number<RecordHeader>(in);
      record.lane = number<std::uint32_t>(in);
      record.position = number<std::uint64_t>(in);
      record.next_position = number<std::uint64_t>(in);
      record.time = Time(std::chrono::nanoseconds(number<std::int64_t>(in)));
      const auto payload = in.sized_text();
      if (!payload || record.lane > kMostSlots || record.next_position <= record.position ||
          record.next_position > kLastPosition)
        fail_by_answer();
      record.payload = {payload->data(), payload->size()};
      records_.push_back(record);
    }
    return !records_.empty();
  }

  static Stacktrace stack_in(const std::string& answer) {
    DecodedEvent event;
    if (answer.empty()) return {};  // more than an answer has room for
    if (!decode_event(answer, event)) fail_by_answer();
    if (!event.frames) return {};
    constexpr std::size_t kMostFrames =
        8 * Stacktrace::kMaxFrames;  // inlined ones stand beside the addresses
    if (event.frames->size() > kMostFrames) event.frames->resize(kMostFrames);
    return Stacktrace(std::move(*event.frames));
  }

  std::shared_ptr<Reader> reader_;
  std::string run_;
  std::optional<RunAbout> about_;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t external_bytes_ = 0;
  std::unique_ptr<CrashPage> crash_;
  std::string answer_;  // which the records' payloads lie in
  std::vector<TakenRecord> records_;
  std::size_t next_ = 0;
};

ForeignJournals::ForeignJournals(const JournalOwner& owner, const std::filesystem::path& journal_folder)
    : user_{.number = owner.user, .name = owner.name},
      reader_(std::make_shared<Reader>(owner, journal_folder)) {}

ForeignJournals::~ForeignJournals() = default;

std::vector<std::string> ForeignJournals::runs() {
  const std::string answer = reader_->ask(Ask::runs);
  std::set<std::string> runs;
  for (ByteReader in(answer); in.left() != 0;) {
    std::string run = text(in);
    if (!is_run_name(run)) fail_by_answer();
    runs.insert(std::move(run));
  }
  return {runs.begin(), runs.end()};
}

bool ForeignJournals::has(const std::string& run) {
  const std::string answer = reader_->ask(Ask::has, MessageWriter().put_text(run).text());
  ByteReader in(answer);
  return number<std::uint8_t>(in) != 0;
}

std::unique_ptr<JournalSource> ForeignJournals::take_over(const std::string& run) {
  const std::string answer = reader_->ask(Ask::take_over, MessageWriter().put_text(run).text());
  ByteReader in(answer);
  if (number<std::uint8_t>(in) == 0) return nullptr;
  std::optional<RunAbout> about;
  if (number<std::uint8_t>(in) != 0) {
    about.emplace();
    for (std::string* member : {&about->run, &about->fingerprint, &about->store, &about->executable})
      *member = text(in);
    about->pid = number<std::int64_t>(in);
    about->started = Time(std::chrono::nanoseconds(number<std::int64_t>(in)));
    if (about->run != run) fail_by_answer();
  }
  return std::make_unique<Journal>(reader_, run, std::move(about));
}

}  // namespace codewake::internal
