// The run that a signal handler makes, where a crash finds no page: folder, lock, run.json and the file
// `crash`.
//
// Its source needs nothing but the C library: `codewake run` has it in programs that have no C++ runtime.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "stacktrace/crash_page.hpp"

namespace codewake::internal {

inline constexpr const char* kCrashFile = "crash";

/// What the handler needs. All texts are borrowed for good.
struct CrashNest {
  std::span<const char* const> roots;  ///< absolute paths of folders; the first one with room has the run
  std::string_view name_begin;         ///< of the run's name: `<host>-`
  std::string_view name_end;           ///< of its uuid, what follows the first eight digits
  std::string_view fingerprint;
  std::string_view about;    ///< of run.json: what follows the checksum, from a comma up to the pid
  std::string_view process;  ///< as encode_process writes it
  std::int64_t id = 0;       ///< of the process in the store; 0: not known
  pid_t pid = 0;
};

/// Has a crash without a page make a run of its own from this. `nest` is borrowed for good: a handler may
/// still read an earlier one. Thread-safe.
void use_crash_nest(const CrashNest& nest) noexcept;

/// In the child of a fork(): notes when it begins. Async-signal-safe.
void note_crash_child() noexcept;

/// The page, mapped from a file that is as large; null, and errno says why. Async-signal-safe, as what
/// follows.
CrashPage* map_crash_page(int fd) noexcept;

/// Fills in whose page it is.
void prepare_crash_page(CrashPage& page, std::string_view process, std::uint32_t number,
                        std::int64_t id) noexcept;

}  // namespace codewake::internal
