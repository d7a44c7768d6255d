// The exception that std::terminate was called for.
#pragma once

#include "stacktrace/crash_page.hpp"

namespace codewake::internal {

/// Fills in the stack of the throw, or of the caller where no exception is in flight, then type and message
/// of the exception and its causes. On the thread that terminates; may allocate.
void describe_uncaught(CrashPage& page) noexcept;

}  // namespace codewake::internal
