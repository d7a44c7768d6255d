// The library that `codewake run` preloads: records the crashes of a program that knows nothing of it. It
// needs the C library alone, so that any dynamic linker loads it, and costs a program that does not crash
// next to nothing: no thread, no file, no name looked up before something is to be recorded. Where it can
// record nothing, it does nothing.
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "codewake/export.hpp"
#include "codewake/utf8.hpp"
#include "journal/crash_nest.hpp"
#include "stacktrace/alternate_stack.hpp"
#include "stacktrace/crash_handler.hpp"
#include "stacktrace/fault_mask.hpp"
#include "stacktrace/jump_hook.hpp"
#include "stacktrace/sanitizers.hpp"
#include "watch/exec_hook.hpp"
#include "watch/instructions.hpp"
#include "watch/runtime.hpp"
#include "watch/throws.hpp"

namespace codewake::internal {
namespace {

/// Bytes one behind the other; what does not fit is left out.
template <std::size_t Bytes>
class Buffer {
 public:
  void add(std::string_view text) noexcept {
    const std::size_t size = std::min(text.size(), Bytes - size_);
    std::memcpy(bytes_ + size_, text.data(), size);
    size_ += size;
  }
  template <class Number>
  void add_raw(Number number) noexcept {
    char bytes[sizeof number];
    std::memcpy(bytes, &number, sizeof number);
    add({bytes, sizeof bytes});
  }
  void add_number(unsigned number, unsigned digits) noexcept {
    char text[10];
    for (unsigned i = digits; i-- > 0; number /= 10) text[i] = static_cast<char>('0' + number % 10);
    add({text, digits});
  }
  std::string_view view() const noexcept { return {bytes_, size_}; }

 private:
  char bytes_[Bytes] = {};
  std::size_t size_ = 0;
};

constinit std::atomic<bool> is_watching{false};
constinit WatchInstructions instructions;
constinit char instruction_texts[16384]{};
constinit char executable[4096]{};
constinit Buffer<8192> about;
constinit Buffer<CrashPage::kMaxProcessBytes> process;
constinit const char* roots[2]{};
constinit CrashNest nest;

using RealTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

RealTime real_time() noexcept {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return RealTime(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

// What is no UTF-8 would make all of run.json unreadable.
void add_quoted(std::string_view text) noexcept {
  about.add("\"");
  while (!text.empty()) {
    const Utf8Character character = decode_utf8(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (byte < 0x20 || !character.is_valid) {
      about.add("?");
    } else {
      if (byte == '"' || byte == '\\') about.add("\\");
      about.add(text.substr(0, character.size_bytes));
    }
    text.remove_prefix(character.size_bytes);
  }
  about.add("\"");
}

// As format_time writes it.
void add_time(RealTime time) noexcept {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<microseconds>(time - day));
  about.add_number(static_cast<unsigned>(static_cast<int>(date.year())), 4);
  about.add("-");
  about.add_number(static_cast<unsigned>(date.month()), 2);
  about.add("-");
  about.add_number(static_cast<unsigned>(date.day()), 2);
  about.add("T");
  about.add_number(static_cast<unsigned>(clock.hours().count()), 2);
  about.add(":");
  about.add_number(static_cast<unsigned>(clock.minutes().count()), 2);
  about.add(":");
  about.add_number(static_cast<unsigned>(clock.seconds().count()), 2);
  about.add(".");
  about.add_number(static_cast<unsigned>(clock.subseconds().count()), 6);
  about.add("Z");
}

void add_text(std::string_view text) noexcept {
  process.add_raw(static_cast<std::uint32_t>(text.size()));
  process.add(text);
}

void add_optional(const char* text) noexcept {
  process.add_raw(static_cast<std::uint8_t>(*text != '\0'));
  if (*text != '\0') add_text(text);
}

// A variable that the program was started with counts more, as where libcodewake reads the configuration.
const char* variable_or(const char* name, const char* text) noexcept {
  const char* const value = secure_getenv(name);
  return value != nullptr && *value != '\0' ? value : text;
}

// Of a process that became another user it is the number.
const char* user() noexcept {
  static constinit char digits[12]{};
  char* first = digits + sizeof digits - 1;
  unsigned id = getuid();
  do {
    *--first = static_cast<char>('0' + id % 10);
    id /= 10;
  } while (id != 0);
  return std::strcmp(first, instructions.user_id) == 0 ? instructions.user : first;
}

// As encode_process writes it.
void describe_process(RealTime start) noexcept {
  process.add_raw(static_cast<std::int64_t>(start.time_since_epoch().count()));
  process.add_raw(std::uint8_t{1});
  process.add_raw(std::int64_t{getpid()});
  const char* const app = variable_or("CODE_WAKE_APP_NAME", instructions.app_name);
  const char* const name = *app != '\0' ? app : executable;
  add_text(*name != '\0' ? name : "unknown");
  add_optional(variable_or("CODE_WAKE_APP_VSN", instructions.app_version));
  add_optional(variable_or("CODE_WAKE_ENVIRONMENT", instructions.environment));
  add_optional(user());
  add_optional(instructions.host);
  add_optional(executable);
}

void expect_crash() noexcept {
  const RealTime start = real_time();
  const ssize_t size =
      readlink("/proc/self/exe", executable, sizeof executable - 1);  // lint: the system's path
  if (size < 0) executable[0] = '\0';
  about.add(", \"store\": ");
  about.add(instructions.store);
  about.add(", \"executable\": ");
  add_quoted(executable);
  about.add(", \"started\": \"");
  add_time(start);
  about.add("\", \"pid\": ");
  describe_process(start);
  std::size_t count = 0;
  for (const char* const root : {instructions.disk_root, instructions.memory_root}) {
    if (*root != '\0') roots[count++] = root;
  }
  nest = {.roots = {roots, count},
          .name_begin = instructions.name_begin,
          .name_end = instructions.name_end,
          .fingerprint = instructions.fingerprint,
          .about = about.view(),
          .process = process.view(),
          .id = 0,
          .pid = getpid()};
  use_crash_nest(nest);
}

void begin_child() noexcept {
  if (!is_watching.load(std::memory_order_relaxed)) return;
  begin_crash_child();
  note_crash_child();
}

// The path by which this library was preloaded; null: not known.
const char* own_path() noexcept {
  Dl_info info{};
  return dladdr(reinterpret_cast<void*>(&own_path), &info) == 0 ? nullptr : info.dli_fname;
}

bool is_there(const char* name) noexcept {
  return dlsym(RTLD_DEFAULT, name) != nullptr;
}

// A program that uses libcodewake has its crashes recorded by that.
bool can_watch() noexcept {
  return !is_there("codewake_throw_hook") && !is_sanitized() && !is_there("__msan_init") &&
         !is_there("__hwasan_init");
}

// Before any code of the program, and of its libraries.
[[gnu::constructor(101)]] void begin() noexcept {
  const char* const value = secure_getenv(kWatchVariable);
  const bool is_told =
      is_there("gnu_get_libc_version") &&
      read_watch_instructions(value, instruction_texts, sizeof instruction_texts, instructions);
  if (is_told) let_others_run_alone(own_path());
  if (!is_told || !can_watch()) {
    stop_providing_alternate_stacks();
    return;
  }
  set_real_mask(SIG_BLOCK, nullptr, nullptr);
  find_jumps();
  find_exit();
  find_unwinder();
  expect_crash();
  keep_throws(*instructions.uncaught != '\0');
  watch_for_crashes({.signals = *instructions.signals != '\0',
                     .system_calls = false,
                     .uncaught = *instructions.uncaught != '\0'});
  pthread_atfork(nullptr, nullptr, &begin_child);
  is_watching.store(true);
  // Its exceptions would be those of the other runtime.
  if (*instructions.library != '\0' && !is_there("__cxa_current_primary_exception"))
    dlopen(instructions.library, RTLD_NOW | RTLD_LOCAL);
}

[[gnu::destructor(101)]] void end() noexcept {
  forget_left_fault();
}

}  // namespace
}  // namespace codewake::internal

// What libcodewake asks for, where it is loaded later: see stacktrace/preloaded_watch.hpp.
extern "C" {
CODEWAKE_API int codewake_is_watching() noexcept {
  return codewake::internal::is_watching.load() ? 1 : 0;
}

CODEWAKE_API void codewake_stop_watching() noexcept {
  using namespace codewake::internal;
  if (!is_watching.exchange(false)) return;
  stop_keeping_throws();
  stop_watching_for_crashes();
}

CODEWAKE_API void codewake_use_crash_page(codewake::internal::CrashPage* page) noexcept {
  codewake::internal::use_crash_page(page);
}

CODEWAKE_API bool codewake_is_dying() noexcept {
  return codewake::internal::is_dying();
}

CODEWAKE_API void codewake_watch_throws(codewake::internal::ThrowObserver observer) noexcept {
  codewake::internal::pass_throws_to(observer);
}
}
