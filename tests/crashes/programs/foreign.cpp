// A program for other compilers, sanitizers and C libraries; as C where there is no C++.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
#include <stdexcept>

static void catch_one(void) {
  try {
    throw std::runtime_error("caught");
  } catch (const std::exception& error) {
    puts(error.what());
  }
}

struct Unknown {};

static void throw_one(void) {
  throw Unknown();
}
#else
static void catch_one(void) {
  puts("caught");
}

static void throw_one(void) {
  abort();
}
#endif

int main(int argc, char** argv) {
  catch_one();
  if (argc > 1 && strcmp(argv[1], "throw") == 0) throw_one();
  return 5;
}
