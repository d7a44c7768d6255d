// What Boost.Stacktrace does inside the library. The one source of this header includes it, header-only.
#pragma once

#include <string>

namespace codewake::internal {

/// The portable unwinder, for where no faster one is there: writes the caller's return addresses, innermost
/// first, then a null. The result is their number, at most `size - 1`. Async-signal-safe once the C++ runtime
/// has unwound or thrown anything; it allocates nothing. Thread-safe.
int unwind_by_boost(void** addresses, int size) noexcept;

/// The demangled name of the exported function that an address of this process lies in, as the dynamic linker
/// has it: no file is read. Empty where there is none. The module must stay loaded during the call. Takes the
/// dynamic linker's lock, so never in a signal handler. Throws std::bad_alloc. Thread-safe.
std::string exported_function_at(const void* address);

}  // namespace codewake::internal
