// The signals of a program's own faults.
#pragma once

#include <signal.h>

namespace codewake::internal {

/// What is fatal by default and comes from the program's own doing.
inline constexpr int kFatalSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

/// Those of them by which a thread stops at an instruction, and which nobody waits for.
inline constexpr int kFaultSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

}  // namespace codewake::internal
