// The time-stamp counter: the only clock fine enough for calls of some ten nanoseconds.
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#else
#include <chrono>
#endif

namespace codewake::cli::bench {

#if defined(__x86_64__) || defined(__i386__)

inline std::uint64_t ticks_now() noexcept {
  return __rdtsc();
}

/// Before what is measured: nothing of it begins before the counter is read, nothing earlier is still under
/// way.
inline std::uint64_t ticks_at_begin() noexcept {
  _mm_lfence();
  const std::uint64_t ticks = __rdtsc();
  _mm_lfence();
  return ticks;
}

/// Behind what is measured: all of it is done when the counter is read.
inline std::uint64_t ticks_at_end() noexcept {
  unsigned processor = 0;
  const std::uint64_t ticks = __rdtscp(&processor);
  _mm_lfence();
  return ticks;
}

inline void relax() noexcept {
  _mm_pause();
}

#else

inline std::uint64_t ticks_now() noexcept {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}
inline std::uint64_t ticks_at_begin() noexcept {
  return ticks_now();
}
inline std::uint64_t ticks_at_end() noexcept {
  return ticks_now();
}
inline void relax() noexcept {}

#endif

/// What a tick is, and what reading the counter costs by itself.
struct TickScale {
  double ns_per_tick = 1;
  double step_ticks = 1;   ///< the smallest difference that readings have: some processors count in steps
  double overhead_ns = 0;  ///< of a ticks_at_begin() with a ticks_at_end() behind it
};

/// Looks at the clock for a twentieth of a second.
TickScale measure_tick_scale();

}  // namespace codewake::cli::bench
