/* A C program that has C++ in a plugin only. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  void* const plugin = argc > 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  if (plugin == NULL) return 70;
  void (*function)(void) = (void (*)(void))dlsym(plugin, argv[2]);
  if (function == NULL) return 71;
  function();
  return 0;
}
