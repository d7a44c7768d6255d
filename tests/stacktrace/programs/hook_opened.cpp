// Opens the library with dlopen, as a program does that is not linked with it.
#include <dlfcn.h>

#include <cstdio>

int main(int, char** arguments) {
  void* library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  void* in_force = library == nullptr ? nullptr : dlsym(library, "_ZN8codewake19throw_hook_in_forceEv");
  if (in_force == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  std::printf("in force: %s\n", reinterpret_cast<bool (*)()>(in_force)() ? "yes" : "no");
}
