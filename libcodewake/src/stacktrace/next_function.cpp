#include "stacktrace/next_function.hpp"

#include <dlfcn.h>
#include <link.h>

#include <cstring>

// The first byte of this library, wherever it is loaded.
extern "C" const char __ehdr_start __attribute__((visibility("hidden")));

namespace codewake::internal {
namespace {

void* foreign(void* function) noexcept {
  Dl_info info{};
  const bool is_ours = function != nullptr && dladdr(function, &info) != 0 && info.dli_fbase == &__ehdr_start;
  return is_ours ? nullptr : function;
}

/// The name of the module at this position among those that are loaded; copied, for only the call back sees
/// it.
struct ModuleName {
  unsigned position;
  char text[4096];
};

int copy_name(dl_phdr_info* info, std::size_t, void* data) {
  auto& name = *static_cast<ModuleName*>(data);
  if (name.position-- != 0) return 0;
  std::strncpy(name.text, info->dlpi_name, sizeof name.text - 1);
  return 1;
}

void* find_in_modules(const char* function) noexcept {
  for (unsigned position = 0;; ++position) {
    ModuleName name{position, {}};
    if (dl_iterate_phdr(&copy_name, &name) == 0) return nullptr;
    void* const module = *name.text == '\0' ? nullptr : dlopen(name.text, RTLD_LAZY | RTLD_NOLOAD);
    if (module == nullptr) continue;
    void* const found = foreign(dlsym(module, function));
    dlclose(module);
    if (found != nullptr) return found;
  }
}

}  // namespace

void* find_next_function(const char* name) noexcept {
  if (void* const behind = dlsym(RTLD_NEXT, name)) return behind;
  if (void* const first = foreign(dlsym(RTLD_DEFAULT, name))) return first;
  return find_in_modules(name);
}

}  // namespace codewake::internal
