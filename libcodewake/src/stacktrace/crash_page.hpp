// What a program leaves that dies: one page, set aside before, filled in by a signal handler.
// journal/FORMAT.md describes it as the file `crash`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "codewake/trace_context.hpp"

namespace codewake::internal {

inline constexpr char kCrashMagic[8] = {'C', 'W', 'C', 'R', 'A', 'S', 'H', '\n'};
inline constexpr std::uint32_t kCrashVersion = 1;

enum class CrashState : std::uint32_t {
  none = 0,
  begun = 1,  ///< what is there is right; more was to come
  whole = 2,
};

/// A module that one of the frames lies in.
struct CrashModule {
  std::uint64_t base;  ///< what is added to the addresses in the file
  std::uint64_t begin;
  std::uint64_t end;
  char build_id[72];  ///< hexadecimal, ended by a zero; empty: none
  char path[416];     ///< ended by a zero, cut where it is longer
};

/// One of the exceptions that led here, the outermost first.
struct CrashException {
  char type[496];  ///< demangled, unless the page says otherwise; both ended by a zero, cut where they are
                   ///< longer
  char message[2000];
};

/// Fixed in size, so that nothing has to be computed or allocated where it is filled in. Text may end within
/// a character.
struct CrashPage {
  static constexpr std::size_t kMaxFrames = 128;
  static constexpr std::size_t kMaxModules = 24;
  static constexpr std::size_t kMaxExceptions = 4;
  static constexpr std::size_t kMaxProcessBytes = 4096;

  // Prepared.
  char magic[8];
  std::uint32_t version;
  std::uint32_t process_bytes;   ///< of `process`
  std::int64_t process_id;       ///< in the store; 0: not known
  std::uint32_t process_number;  ///< in the journal; 0: it has not introduced itself
  std::uint32_t unused;
  char process[kMaxProcessBytes];  ///< the payload of its record

  // Written by whoever dies, `state` first and last.
  std::uint32_t state;  ///< CrashState
  std::uint32_t thread_id;
  std::int64_t when;          ///< nanoseconds since 1970
  std::uint32_t is_uncaught;  ///< std::terminate was called: what follows may be 0
  std::uint32_t signal;
  std::int32_t code;
  std::uint32_t sender;  ///< the pid of who sent the signal; 0: nobody else did
  std::uint64_t address;
  std::uint64_t stack_pointer;
  char thread_name[16];
  std::uint32_t exceptions;
  std::uint32_t frames;
  std::uint32_t modules;
  std::uint32_t has_mangled_types;      ///< the exceptions' types are as the compiler writes them
  std::uint64_t addresses[kMaxFrames];  ///< return addresses, innermost first: each lies behind its call
  CrashModule module[kMaxModules];
  CrashException exception[kMaxExceptions];
  TraceTie trace;  ///< in which it happened; zeros: in none
};

/// Copies text into a field of the page, as much as it takes, and ends it. Async-signal-safe.
inline void set_text(std::span<char> field, std::string_view text) noexcept {
  const std::size_t size = std::min(text.size(), field.size() - 1);
  std::memcpy(field.data(), text.data(), size);
  field[size] = '\0';
}

static_assert(offsetof(CrashPage, state) == 4128 && offsetof(CrashPage, exception) == 17520 &&
              offsetof(CrashPage, trace) == 27504);  // as in FORMAT.md

}  // namespace codewake::internal
