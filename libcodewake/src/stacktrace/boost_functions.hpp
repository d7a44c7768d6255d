// What Boost.Stacktrace does inside the library. The one source of this header includes it, header-only.
#pragma once

namespace codewake::internal {

/// The portable unwinder, for where no faster one is there: writes the caller's return addresses, innermost
/// first, then a null. The result is their number, at most `size - 1`. Async-signal-safe once the C++ runtime
/// has unwound or thrown anything; it allocates nothing. Thread-safe.
int unwind_by_boost(void** addresses, int size) noexcept;

}  // namespace codewake::internal
