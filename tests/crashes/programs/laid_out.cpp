// Small: wherever a linker puts its code, that lies in few pages, next to what the file begins with.
#include "recording.hpp"

#define TEN(text) text text text text text text text text text text
#define FILLER asm volatile(TEN(TEN(TEN("nop;"))))

// In its place is found what is looked for at a wrong distance.
extern "C" [[gnu::noinline]] void innocent() {
  FILLER;
  FILLER;
}

extern "C" [[gnu::noinline]] void guilty(volatile int* nowhere) {
  *nowhere = 1;
  asm volatile("");
}

extern "C" [[gnu::noinline]] void innocent_too() {
  FILLER;
  FILLER;
}

int main(int count, char**) {
  begin_recording();
  note(1);
  if (count > 5) {
    innocent();
    innocent_too();
  }
  guilty(nullptr);
  return 0;
}
