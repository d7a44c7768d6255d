// Two modules that differ in the size of a frame, and in nothing else.
#include "shapes.hpp"

extern "C" [[gnu::noinline]] void codewake_replaced(codewake::testing::Look look) {
  char local[FRAME_BYTES];
  asm volatile("" : : "r"(local) : "memory");
  look();
  asm volatile("" : : "r"(local) : "memory");
}
