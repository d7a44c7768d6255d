// Stands for a function that a public header of the library defines.
#pragma once

#include "codewake/stacktrace.hpp"

namespace codewake {

[[gnu::always_inline]] inline Stacktrace capture_in_header() {
  Stacktrace trace = Stacktrace::current();
  asm volatile("nop" : : "r"(&trace));
  return trace;
}

[[gnu::noinline]] inline Stacktrace capture_called_in_header() {
  Stacktrace trace = capture_in_header();
  asm volatile("nop; nop" : : "r"(&trace));
  return trace;
}

/// Calls back: what is called is the innermost, and this is not.
[[gnu::noinline]] inline Stacktrace call_from_header(Stacktrace (*callback)()) {
  Stacktrace trace = callback();
  asm volatile("nop; nop; nop" : : "r"(&trace));
  return trace;
}

}  // namespace codewake
