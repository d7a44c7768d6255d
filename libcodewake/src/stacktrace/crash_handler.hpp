// What becomes of a program that dies: of a fatal signal, or of an exception that nobody catches.
//
// The crash is written into a page that was set aside before, then whatever the program had in mind goes on:
// its own handlers, or the kernel's default. Whoever reads the page later makes an event of it.
#pragma once

#include <sys/types.h>

#include "stacktrace/crash_page.hpp"

namespace codewake::internal {

struct CrashCauses {
  bool signals = true;       ///< fatal signals
  bool system_calls = true;  ///< among them SIGSYS; else only where the program has a handler for it
  bool uncaught = true;      ///< exceptions that no handler catches, and other ends by std::terminate
};

/// From now on these are written into the page in use. Once is enough. Thread-safe.
void watch_for_crashes(CrashCauses causes) noexcept;

/// The same for `uncaught` alone, once more: the C++ runtime may have been loaded since. Thread-safe.
void watch_for_terminate() noexcept;

/// The program's handlers are in force again, and what comes is not written. Thread-safe.
void stop_watching_for_crashes() noexcept;

/// The page of this process; null: there is none. It must stay mapped until another is in use. Thread-safe;
/// async-signal-safe.
void use_crash_page(CrashPage* page) noexcept;

/// Another library that records the crashes of this process.
struct OtherWatch {
  void (*use_page)(CrashPage* page) noexcept;
  bool (*is_dying)() noexcept;
};

/// It gets the pages of this library, and knows which thread is in a handler. `other` is borrowed for good.
/// Thread-safe.
void leave_crashes_to(const OtherWatch& other) noexcept;

/// Whether the calling thread is in a handler that the program has for its crash: it exits of a crash then,
/// even where it calls exit(). Thread-safe.
bool is_dying() noexcept;

/// The program ends well, or becomes another: a fault whose handler was left in a way that cannot be seen, as
/// by
/// __builtin_longjmp, was no crash. Does nothing while the calling thread is in that handler.
/// Async-signal-safe.
void forget_left_fault() noexcept;

/// Looks up what is replaced for that. Thread-safe.
void find_exit() noexcept;

/// The page is for whoever recovers it: it must not go with a journal that is done with. Thread-safe.
void keep_crash() noexcept;
bool is_crash_kept() noexcept;

/// In the child of a fork(): nothing has crashed here, and there is no page. Async-signal-safe.
void begin_crash_child() noexcept;

/// Makes a page where there is none for this process: in the child of a fork() that has recorded nothing yet,
/// and behind the end of the journal. Must be async-signal-safe. Null: no page can be had.
using CrashPageMaker = CrashPage* (*)() noexcept;
void set_crash_page_maker(CrashPageMaker maker) noexcept;

}  // namespace codewake::internal
