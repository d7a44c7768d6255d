#include "queue/journal_reader.hpp"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "journal/event_codec.hpp"
#include "journal/places.hpp"
#include "queue/own_journals.hpp"
#include "stacktrace/sanitizers.hpp"

namespace codewake::internal {
namespace {

constexpr auto kForever = std::chrono::hours(24);

void check(int result, const char* what) {
  if (result != 0) throw std::system_error(errno, std::generic_category(), what);
}

void limit(__rlimit_resource resource, rlim_t most) {
  const rlimit bound{.rlim_cur = most, .rlim_max = most};
  check(setrlimit(resource, &bound), "setrlimit");
}

// The memory is a copy of a privileged process's: the user must be able neither to trace this process nor to
// have it dump a core.
void become(const JournalOwner& owner) {
  check(owner.user == 0 ? -1 : 0, "not for root");
  check(setgroups(owner.groups.size(), owner.groups.data()), "setgroups");
  check(setresgid(owner.group, owner.group, owner.group), "setresgid");
  check(setresuid(owner.user, owner.user, owner.user), "setresuid");
  if (setuid(0) == 0 || geteuid() != owner.user) std::_Exit(1);
  check(prctl(PR_SET_DUMPABLE, 0), "PR_SET_DUMPABLE");
  check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, 3600);
  if (!is_sanitized()) limit(RLIMIT_AS, 2u << 30);
}

// Nothing but the channel, which becomes the descriptor 3, is left open.
void keep_only(int socket) {
  const int nothing = open("/dev/null", O_RDWR);  // lint: the system's path
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (nothing < 0 || dup2(nothing, standard) < 0) std::_Exit(1);
  }
  if (dup2(socket, 3) < 0) std::_Exit(1);
  setsid();  // the terminal of the caller is not the owner's
  if (close_range(4, ~0u, 0) == 0) return;
  for (int fd = 4; fd < 65536; ++fd) close(fd);
}

void set_environment(const JournalOwner& owner) {
  unsetenv("XDG_STATE_HOME");
  owner.home.empty() ? unsetenv("HOME") : setenv("HOME", owner.home.c_str(), 1);
  umask(077);
  if (chdir("/") != 0) std::_Exit(1);
}

/// Answers questions about the journals below some folders, one journal at a time.
class Reader {
 public:
  explicit Reader(ReaderChannel channel, const std::filesystem::path& folder) : channel_(std::move(channel)) {
    std::vector<std::filesystem::path> folders = default_journal_folders();
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.push_back(folder);
    for (const std::filesystem::path& path : folders) places_.push_back(std::make_unique<OwnJournals>(path));
  }

  // Until the other side has gone, which ends it by an exception.
  [[noreturn]] void serve() {
    while (true) {
      const ReaderChannel::Message question = channel_.receive(kMostAnswerBytes, kForever);
      answer(question);
    }
  }

 private:
  void answer(const ReaderChannel::Message& question) {
    MessageWriter out;
    std::uint8_t failed = 0;
    try {
      ByteReader in(question.body);
      reply(static_cast<Ask>(question.kind), in, out);
    } catch (const std::exception& error) {
      failed = 1;
      out.text() = std::string(error.what()).substr(0, 1024);
    }
    channel_.send(failed, out.text(), kForever);
  }

  void reply(Ask ask, ByteReader& in, MessageWriter& out) {
    switch (ask) {
      case Ask::runs:
        return reply_runs(out);
      case Ask::has:
        out.put(static_cast<std::uint8_t>(place_of(text(in)) != nullptr));
        return;
      case Ask::take_over:
        return reply_take_over(text(in), out);
      case Ask::release:
        journal_.reset();
        return;
      default:
        if (journal_ == nullptr) throw std::logic_error("no journal has been taken over");
        return reply_of_journal(ask, in, out);
    }
  }

  void reply_of_journal(Ask ask, ByteReader& in, MessageWriter& out) {
    switch (ask) {
      case Ask::open:
        journal_->open();
        out.put(journal_->size_bytes());
        if (journal_->crash() != nullptr) out.put(*journal_->crash());
        return;
      case Ask::skip_to: {
        const auto lane = number<std::uint32_t>(in);
        return journal_->skip_to(lane, number<std::uint64_t>(in));
      }
      case Ask::records:
        return reply_records(out);
      case Ask::external:
        return reply_external(in, out);
      case Ask::stack: {
        CapturedStack stack{.epoch = number<std::uint32_t>(in)};
        while (const auto address = in.get<std::uint64_t>())
          stack.addresses.push_back(reinterpret_cast<void*>(static_cast<std::uintptr_t>(*address)));
        return reply_stack(journal_->stack_of(stack), out);
      }
      case Ask::crash_stack:
        return reply_stack(journal_->crash_stack(), out);
      case Ask::damage: {
        const JournalSource::Damage damage = journal_->damage();
        out.put(damage.skipped_bytes).put(damage.losses).put(damage.gone_events).put(damage.reported_losses);
        return;
      }
      case Ask::remove:
        out.put(std::int32_t{journal_->remove().value()});
        return;
      default:
        throw std::logic_error("an unknown question");
    }
  }

  // As many as an answer has room for: the others are found the next time.
  void reply_runs(MessageWriter& out) {
    for (const auto& place : places_) {
      for (const std::string& run : runs_of(*place)) {
        if (out.text().size() + run.size() + sizeof(std::uint32_t) > kMostAnswerBytes) return;
        out.put_text(run);
      }
    }
  }

  // A folder that this user may not look into has no journals of this user.
  static std::vector<std::string> runs_of(JournalSources& place) {
    try {
      return place.runs();
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::permission_denied) return {};
      throw;
    }
  }

  JournalSources* place_of(const std::string& run) {
    for (const auto& place : places_) {
      const std::vector<std::string> runs = runs_of(*place);
      if (std::find(runs.begin(), runs.end(), run) != runs.end()) return place.get();
    }
    return nullptr;
  }

  void reply_take_over(const std::string& run, MessageWriter& out) {
    JournalSources* const place = place_of(run);
    journal_ = place == nullptr ? nullptr : place->take_over(run);
    out.put(static_cast<std::uint8_t>(journal_ != nullptr));
    if (journal_ == nullptr) return;
    const std::optional<RunAbout>& about = journal_->about();
    out.put(static_cast<std::uint8_t>(about.has_value()));
    if (!about) return;
    out.put_text(about->run).put_text(about->fingerprint).put_text(about->store).put_text(about->executable);
    out.put(about->pid).put(std::int64_t{about->started.time_since_epoch().count()});
  }

  void reply_records(MessageWriter& out) {
    journal_->collect([&](const TakenRecord& record) {
      constexpr std::size_t kAround = 64;
      const bool has_room = out.text().size() + record.payload.size() + kAround <= kMostAnswerBytes;
      if (!has_room) return false;
      out.put(record.header).put(record.lane).put(record.position).put(record.next_position);
      out.put(std::int64_t{record.time.time_since_epoch().count()});
      out.put_text({record.payload.data(), record.payload.size()});
      return true;
    });
  }

  void reply_external(ByteReader& in, MessageWriter& out) {
    TakenRecord record;
    record.lane = number<std::uint32_t>(in);
    record.position = number<std::uint64_t>(in);
    const auto payload = number<ExternalPayload>(in);
    record.payload = {reinterpret_cast<const char*>(&payload), sizeof payload};
    if (payload.size_bytes > kMostExternalBytes)
      throw std::system_error(std::make_error_code(std::errc::message_size), "a large event");
    std::string content;
    const std::error_code error = journal_->read_external(record, content);
    const bool is_gone = error == std::errc::bad_message || error == std::errc::no_such_file_or_directory;
    if (error && !is_gone) throw std::system_error(error, "a large event");
    out.put(static_cast<std::uint8_t>(!error));
    if (!error) out.text().append(content);
  }

  static void reply_stack(const Stacktrace& stack, MessageWriter& out) {
    const EventInput event{.stacktrace = &stack};
    std::string& text = out.text();
    text.resize(encoded_size(event) + kEncodingSlack);
    const char* const end = text.size() > kMostAnswerBytes
                                ? nullptr
                                : encode_event(event, text.data(), text.data() + text.size());
    text.resize(end == nullptr ? 0 : static_cast<std::size_t>(end - text.data()));
  }

  static std::string text(ByteReader& in) { return std::string(in.sized_text().value_or("")); }

  template <class T>
  static T number(ByteReader& in) {
    const auto found = in.get<T>();
    if (!found) throw std::logic_error("a question that ends early");
    return *found;
  }

  ReaderChannel channel_;
  std::vector<std::unique_ptr<JournalSources>> places_;
  std::unique_ptr<JournalSource> journal_;
};

[[noreturn]] void read_journals(const JournalOwner& owner, const std::filesystem::path& folder, int socket) {
  try {
    keep_only(socket);
    set_environment(owner);
    become(owner);
    Reader(ReaderChannel(FileDescriptor(3)), folder).serve();
  } catch (...) {
    // The other side has gone, or sees that this one has: it says what that means.
  }
  std::_Exit(1);
}

}  // namespace

StartedReader start_journal_reader(const JournalOwner& owner, const std::filesystem::path& folder) {
  int sockets[2];
  check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), "socketpair");
  FileDescriptor ours(sockets[0]), theirs(sockets[1]);
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) read_journals(owner, folder, theirs.number());
  FileDescriptor process(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  return {.pid = child, .process = std::move(process), .channel = ReaderChannel(std::move(ours))};
}

}  // namespace codewake::internal
