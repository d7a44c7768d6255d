#include "stacktrace/link_order.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include "codewake/export.hpp"

extern "C" {
// A name that no other library has: who finds it has this library in scope.
CODEWAKE_API extern const char codewake_throw_hook;
const char codewake_throw_hook = 1;
}

namespace codewake::internal {
namespace {

Dl_info module_of(const void* address) noexcept {
  Dl_info info{};
  dladdr(address, &info);
  return info;
}

}  // namespace

void* find_in_program(const char* function) noexcept {
  void* program = dlopen(nullptr, RTLD_LAZY);
  void* address = program == nullptr ? nullptr : dlsym(program, function);
  if (program != nullptr) dlclose(program);
  return address;
}

bool is_linked_into_program() noexcept {
  return find_in_program("codewake_throw_hook") != nullptr;
}

std::string signal_hook_problem() {
  if (!is_linked_into_program()) return {};
  // Others that replace these functions, as a sanitizer, call the next one.
  const Dl_info module = module_of(find_in_program("sigaction"));
  if (module.dli_fbase != module_of(find_in_program("gnu_get_libc_version")).dli_fbase) return {};
  return fmt::format("{} comes ahead of libcodewake: put -lcodewake ahead of -lc when linking the program",
                     module.dli_fname == nullptr ? "the C library" : module.dli_fname);
}

}  // namespace codewake::internal
