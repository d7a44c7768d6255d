// A function whose source file cannot be read, for the compiler is told that it is another.
#include "places.hpp"

#line 100 "/nonexistent/ghost.cpp"
codewake::Stacktrace capture_in_ghost() {
  codewake::Stacktrace trace = codewake::Stacktrace::current();
  asm volatile("" : : "r"(&trace));
  return trace;
}
