// A wall clock that a test can set. One file of a program includes this: it defines a function of the C
// library for the program and the libraries that it uses.
#pragma once

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace codewake::testing {

/// By how much CLOCK_REALTIME is off.
inline std::atomic<std::int64_t> step_seconds{0};

}  // namespace codewake::testing

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (clock == CLOCK_REALTIME)
    time->tv_sec += codewake::testing::step_seconds.load(std::memory_order_relaxed);
  return result;
}
