// Threads of the library's own.
#pragma once

#include <cstddef>
#include <functional>

namespace codewake::internal {

/// Whether the calling thread is one of them.
inline constinit thread_local bool is_worker __attribute__((tls_model("initial-exec"))) = false;

/// Starts a thread of this name (a literal of at most 15 characters) that gets none of the program's signals,
/// but for those of its own faults, and belongs to itself. Where there is no room for a stack of the usual
/// size, it has one of kSmallStackBytes. Throws std::system_error where there can be none.
void start_worker(const char* name, std::function<void()> work);

/// Enough for a store's driver, and for the symbols of a stack trace.
inline constexpr std::size_t kSmallStackBytes = 1u << 20;

}  // namespace codewake::internal
