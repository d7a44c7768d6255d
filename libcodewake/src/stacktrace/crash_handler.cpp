#include "stacktrace/crash_handler.hpp"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/no_cancellation.hpp"
#include "model/current_tie.hpp"
#include "stacktrace/alternate_stack.hpp"
#include "stacktrace/crash_stack.hpp"
#include "stacktrace/fault_mask.hpp"
#include "stacktrace/jump_hook.hpp"
#include "stacktrace/signal_hook.hpp"
#include "stacktrace/terminate_hook.hpp"
#include "stacktrace/uncaught.hpp"

// Invariants:
//  - One thread writes the page: the one whose id is in `writer`. It stays there while the process dies, and
//    is taken out where the program's own handler has mended what was wrong, or is left by a jump, by an
//    exception, or with its thread.
//  - A signal of the writer's own while it writes is a fault of ours: it jumps back and goes on with what
//    there is. Any other is the program's, and is handed on.

namespace codewake::internal {
namespace {

constinit std::atomic<CrashPage*> page_in_use{nullptr};
constinit std::atomic<pid_t> owner_of_page{0};
constinit std::atomic<CrashPageMaker> page_maker{nullptr};
constinit std::atomic<bool> is_kept{false};
constinit std::atomic<const OtherWatch*> other_watch{nullptr};

constinit std::atomic<pid_t> writer{0};
constinit CrashPage* written = nullptr;  // the writer's own, as what follows
constinit volatile sig_atomic_t is_capturing = 0;
constinit volatile sig_atomic_t are_modules_known = 0;
sigjmp_buf after_capture;
// Where the stack was when the first handler of the program was called: what it calls lies below. 0: it is
// in none.
constinit std::atomic<std::uintptr_t> handler_frame{0};

pid_t thread_id() noexcept {
  return static_cast<pid_t>(syscall(SYS_gettid));
}

void set_state(CrashPage& page, CrashState state) noexcept {
  std::atomic_ref(page.state).store(static_cast<std::uint32_t>(state), std::memory_order_release);
}

// The program may have come to the number of its files, or to their size; it may have more than it has asked
// for.
class MoreFiles {
 public:
  MoreFiles() noexcept = default;
  MoreFiles(const MoreFiles&) = delete;
  MoreFiles& operator=(const MoreFiles&) = delete;
  ~MoreFiles() {
    for (const Limit& limit : limits_) {
      if (limit.is_raised) setrlimit(limit.resource, &limit.before);
    }
  }

  /// Until this goes.
  void raise() noexcept {
    for (Limit& limit : limits_) {
      if (limit.is_raised) continue;
      limit.is_raised =
          getrlimit(limit.resource, &limit.before) == 0 && limit.before.rlim_cur < limit.before.rlim_max;
      const rlimit most{limit.before.rlim_max, limit.before.rlim_max};
      if (limit.is_raised) setrlimit(limit.resource, &most);
    }
  }

 private:
  struct Limit {
    decltype(RLIMIT_NOFILE) resource;
    rlimit before{};
    bool is_raised = false;
  };
  Limit limits_[2] = {{.resource = RLIMIT_NOFILE}, {.resource = RLIMIT_FSIZE}};
};

CrashPage* find_page() noexcept {
  if (owner_of_page.load(std::memory_order_acquire) == getpid()) {
    if (CrashPage* const page = page_in_use.load(std::memory_order_acquire)) return page;
  }
  const CrashPageMaker make = page_maker.load(std::memory_order_acquire);
  MoreFiles limits;
  if (make != nullptr) limits.raise();
  CrashPage* const made = make == nullptr ? nullptr : make();
  if (made != nullptr) use_crash_page(made);
  return made;
}

// Whether it is this thread that writes now. Another may have been first: the process dies of that one's
// crash in a moment, so this one waits; not for ever, for that one's handlers are the program's. It may also
// mend what was wrong, and be through with it within microseconds.
bool become_writer(pid_t self) noexcept {
  constexpr long kShortest = 20'000, kLongest = 10'000'000, kAll = 2'000'000'000;  // nanoseconds
  long waited = 0;
  for (long wait = kShortest; waited < kAll; wait = wait < kLongest / 2 ? wait * 2 : kLongest) {
    pid_t other = 0;
    if (writer.compare_exchange_strong(other, self)) return true;
    // It may be no thread of this process: that of a parent, or of a child that shared our memory.
    const bool is_gone = syscall(SYS_tgkill, getpid(), other, 0) != 0;
    if (is_gone && writer.compare_exchange_strong(other, self)) return true;
    const timespec pause{.tv_sec = 0, .tv_nsec = wait};
    nanosleep(&pause, nullptr);
    waited += wait;
  }
  return false;
}

void begin_page(CrashPage& page, pid_t self) noexcept {
  std::memset(&page.thread_id, 0, offsetof(CrashPage, addresses) - offsetof(CrashPage, thread_id));
  page.thread_id = static_cast<std::uint32_t>(self);
  page.trace = {};
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  page.when = std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  prctl(PR_GET_NAME, page.thread_name);
}

void note_signal(CrashPage& page, int signal, const siginfo_t& info, const InterruptedAt& at) noexcept {
  page.code = info.si_code;
  // What is sent has no address, but a sender.
  if (info.si_code > 0 && info.si_code != SI_KERNEL) {
    page.address = reinterpret_cast<std::uintptr_t>(info.si_addr);
  } else if (info.si_code <= 0) {
    page.sender = info.si_pid == getpid() ? 0 : static_cast<std::uint32_t>(info.si_pid);
  }
  page.stack_pointer = at.stack_pointer;
  page.signal = static_cast<std::uint32_t>(signal);
}

// What it reads may be what is broken.
void note_trace(CrashPage& page) noexcept {
  if (current_tie != nullptr) page.trace = *current_tie;
}

void write_page(CrashPage& page, int signal, const siginfo_t& info, ucontext_t& context,
                pid_t self) noexcept {
  begin_page(page, self);
  note_signal(page, signal, info, interrupted_at(&context));
  set_state(page, CrashState::begun);
  MoreFiles limits;
  const mcontext_t interrupted = context.uc_mcontext;
  if (sigsetjmp(after_capture, 0) == 0) {
    is_capturing = 1;
    note_trace(page);
  }
  context.uc_mcontext = interrupted;
  if (sigsetjmp(after_capture, 0) == 0) {
    is_capturing = 1;
    find_frames(&context, info.si_code > 0 ? reinterpret_cast<std::uintptr_t>(info.si_addr) : UINTPTR_MAX,
                page);
    context.uc_mcontext = interrupted;
  }
  context.uc_mcontext = interrupted;
  are_modules_known = 0;
  if (sigsetjmp(after_capture, 0) == 0) {
    is_capturing = 1;
    are_modules_known = find_linked_modules(page) ? 1 : 0;
  }
  // What the dynamic linker knows lies in the heap, which may be what is broken.
  if (are_modules_known == 0 && sigsetjmp(after_capture, 0) == 0) {
    is_capturing = 1;
    limits.raise();
    find_mapped_modules(page);
  }
  is_capturing = 0;
  set_state(page, CrashState::whole);
}

void record(int signal, const siginfo_t& info, ucontext_t& context) noexcept {
  const NoCancellation guard;  // it would unwind the handler
  const pid_t self = thread_id();
  if (writer.load() == self) {
    if (is_capturing != 0) {
      is_capturing = 0;
      siglongjmp(after_capture, 1);
    }
    if (written == nullptr) return;
    const InterruptedAt at = interrupted_at(&context);
    if (written->is_uncaught != 0) {  // terminate has written it, and the program goes on to abort()
      if (written->signal == 0) note_signal(*written, signal, info, at);
      return;
    }
    if (is_on_alternate_stack(at.stack_pointer)) return;  // in a handler that we have called
    handler_frame.store(0);
  } else {
    if (!become_writer(self)) return;
    written = nullptr;
  }
  if (written == nullptr) written = find_page();
  if (written != nullptr) write_page(*written, signal, info, context, self);
}

// The writer lives on.
void forget_record() noexcept {
  handler_frame.store(0);
  if (CrashPage* const page = std::exchange(written, nullptr)) set_state(*page, CrashState::none);
  writer.store(0);
}

// Whether a handler that returns has mended what was wrong. Not where the program has terminated, or called
// abort(): that ends it whatever its handler does.
bool is_mended(int signal, const siginfo_t& info) noexcept {
  if (written != nullptr && written->is_uncaught != 0) return false;
  return signal != SIGABRT || info.si_code != SI_TKILL || info.si_pid != getpid();
}

// By a jump within the handler nothing changes.
void on_jump(std::uintptr_t target) noexcept {
  if (writer.load() == 0 || writer.load() != thread_id()) return;
  const std::uintptr_t frame = handler_frame.load();
  if (frame == 0) return;
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  if (target < here || target >= frame) forget_record();
}

/// While the program's handler runs. It may be one in another, for what went wrong there.
class InHandler {
 public:
  InHandler() noexcept : is_first_(writer.load() == thread_id() && handler_frame.load() == 0) {
    if (is_first_) handler_frame.store(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
  }
  InHandler(const InHandler&) = delete;
  InHandler& operator=(const InHandler&) = delete;
  // By an exception or the thread's end, unless it has returned.
  ~InHandler() {
    if (is_first_) keeps_ ? handler_frame.store(0) : forget_record();
  }

  void keep_record() noexcept { keeps_ = true; }

 private:
  bool is_first_;
  bool keeps_ = false;
};

void block(int signal) noexcept {
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  set_real_mask(SIG_BLOCK, &only, nullptr);
}

void send_to_this_thread(int signal, siginfo_t& info) noexcept {
  if (syscall(SYS_rt_tgsigqueueinfo, getpid(), thread_id(), signal, &info) != 0) {
    syscall(SYS_tgkill, getpid(), thread_id(), signal);
  }
}

// Comes back as soon as the handler has returned, with the registers as they were: so the core that the
// kernel writes is that of the fault.
void die_on_return(int signal, siginfo_t& info, ucontext_t& context) noexcept {
  block(signal);
  give_up_signal(signal);
  send_to_this_thread(signal, info);
  sigdelset(&context.uc_sigmask, signal);
}

// As if it had been blocked when it came: it waits for whoever unblocks it, or takes it by sigwait().
void put_off(int signal, siginfo_t& info, ucontext_t& context) noexcept {
  block(signal);
  sigaddset(&context.uc_sigmask, signal);
  if (info.si_code == SI_TKILL) {
    send_to_this_thread(signal, info);
  } else if (syscall(SYS_rt_sigqueueinfo, getpid(), signal, &info) != 0) {
    kill(getpid(), signal);  // only a process's first thread may tell who sent it
  }
}

void call_handler(const struct sigaction& action, int signal, siginfo_t& info, ucontext_t& context) {
  if ((action.sa_flags & static_cast<int>(SA_RESETHAND)) != 0) reset_action_of_program(signal);
  sigset_t mask = context.uc_sigmask;
  for (int other = 1; other < NSIG; ++other) {
    if (sigismember(&action.sa_mask, other) == 1) sigaddset(&mask, other);
  }
  if ((action.sa_flags & SA_NODEFER) == 0) sigaddset(&mask, signal);
  set_real_mask(SIG_SETMASK, &mask, nullptr);
  if ((action.sa_flags & SA_SIGINFO) != 0) {
    action.sa_sigaction(signal, &info, &context);
  } else {
    action.sa_handler(signal);
  }
}

void on_fatal_signal(int signal, siginfo_t* info, void* data) {
  const int error = errno;
  auto& context = *static_cast<ucontext_t*>(data);
  const struct sigaction action = action_of_program(signal);
  const bool is_sent = info->si_code <= 0;
  const bool is_ignored = action.sa_handler == SIG_IGN;
  if (is_sent && is_fault_blocked(signal, context.uc_sigmask)) {
    put_off(signal, *info, context);
  } else if (!is_ignored || !is_sent) {
    record(signal, *info, context);
    // A handler that needs more than there is would come here again and again.
    const bool is_lost = is_alternate_stack_overflown(interrupted_at(&context).stack_pointer);
    if (action.sa_handler == SIG_DFL || is_ignored || is_lost) {  // no fault can be ignored
      die_on_return(signal, *info, context);
    } else {
      InHandler guard;
      call_handler(action, signal, *info, context);
      const bool was_reset = (action.sa_flags & static_cast<int>(SA_RESETHAND)) != 0;
      if (action_of_program(signal).sa_handler == SIG_DFL && !was_reset) {
        give_up_signal(signal);  // the fault comes again, or was sent again, and ends the program
        guard.keep_record();
      } else if (!is_mended(signal, *info)) {
        guard.keep_record();
      }
    }
  }
  errno = error;
}

void record_terminate() noexcept {
  const NoCancellation guard;
  const pid_t self = thread_id();
  if (writer.load() == self || !become_writer(self)) return;
  written = find_page();
  if (written == nullptr) return;
  CrashPage& page = *written;
  begin_page(page, self);
  page.is_uncaught = 1;
  set_state(page, CrashState::begun);
  describe_uncaught(page);
  note_trace(page);
  if (!find_linked_modules(page)) {
    MoreFiles limits;
    limits.raise();
    find_mapped_modules(page);
  }
  set_state(page, CrashState::whole);
  handler_frame.store(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
}

}  // namespace

void watch_for_crashes(CrashCauses causes) noexcept {
  prepare_crash_stack();
  observe_jumps(&on_jump);
  if (causes.uncaught) take_terminate(&record_terminate);
  if (causes.signals) {
    provide_alternate_stack();
    take_fatal_signals(&on_fatal_signal, causes.system_calls);
    keep_faults_unblocked();
  } else {
    stop_providing_alternate_stacks();
  }
}

void watch_for_terminate() noexcept {
  take_terminate(&record_terminate);
}

void stop_watching_for_crashes() noexcept {
  observe_jumps(nullptr);
  take_terminate(nullptr);
  return_fatal_signals();
  stop_providing_alternate_stacks();
}

void leave_crashes_to(const OtherWatch& other) noexcept {
  other_watch.store(&other, std::memory_order_release);
}

void use_crash_page(CrashPage* page) noexcept {
  if (const OtherWatch* const other = other_watch.load(std::memory_order_acquire)) other->use_page(page);
  page_in_use.store(page, std::memory_order_release);
  owner_of_page.store(getpid(), std::memory_order_release);
}

bool is_dying() noexcept {
  const OtherWatch* const other = other_watch.load(std::memory_order_acquire);
  if (other != nullptr && other->is_dying()) return true;
  if (writer.load() != thread_id() || written == nullptr) return false;
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  return written->is_uncaught != 0 ? here < handler_frame.load() : is_on_alternate_stack(here);
}

void forget_left_fault() noexcept {
  if (owner_of_page.load(std::memory_order_acquire) != getpid() || handler_frame.load() == 0) return;
  if (writer.load() != 0 && !is_dying()) forget_record();
}

void keep_crash() noexcept {
  is_kept.store(true);
}

bool is_crash_kept() noexcept {
  return is_kept.load();
}

void begin_crash_child() noexcept {
  own_signals_in_child();
  writer.store(0);
  written = nullptr;
  handler_frame.store(0);
  is_capturing = 0;
  use_crash_page(nullptr);
}

void set_crash_page_maker(CrashPageMaker maker) noexcept {
  page_maker.store(maker, std::memory_order_release);
}

}  // namespace codewake::internal
