/* The same in C. */
#include <stdlib.h>

__attribute__((noinline)) void guilty_abort(void) {
  abort();
}

int main(void) {
  guilty_abort();
  return 0;
}
