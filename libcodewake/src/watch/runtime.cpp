#include "watch/runtime.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <unwind.h>

#include <cstdlib>

namespace {

using BacktraceFunction = _Unwind_Reason_Code (*)(_Unwind_Trace_Fn, void*);
using AddressFunction = _Unwind_Ptr (*)(_Unwind_Context*);
using AddressInfoFunction = _Unwind_Ptr (*)(_Unwind_Context*, int*);
using AtForkFunction = int (*)(void (*)(), void (*)(), void (*)(), void*);

BacktraceFunction real_backtrace = nullptr;
AddressFunction real_address = nullptr;
AddressInfoFunction real_address_info = nullptr;

void find_unwinder_in(void* module) {
  real_address = reinterpret_cast<AddressFunction>(dlsym(module, "_Unwind_GetIP"));
  real_address_info = reinterpret_cast<AddressInfoFunction>(dlsym(module, "_Unwind_GetIPInfo"));
  real_backtrace = reinterpret_cast<BacktraceFunction>(dlsym(module, "_Unwind_Backtrace"));
}

}  // namespace

void codewake::internal::find_unwinder() noexcept {
  find_unwinder_in(RTLD_DEFAULT);
  if (real_backtrace != nullptr && real_address_info != nullptr) return;
  if (void* const library = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL)) find_unwinder_in(library);
}

// The version script keeps them from all other modules.
extern "C" {
_Unwind_Reason_Code _Unwind_Backtrace(_Unwind_Trace_Fn function, void* data) {
  return real_backtrace == nullptr ? _URC_END_OF_STACK : real_backtrace(function, data);
}

_Unwind_Ptr _Unwind_GetIP(_Unwind_Context* context) {
  return real_address(context);
}

_Unwind_Ptr _Unwind_GetIPInfo(_Unwind_Context* context, int* is_interrupted) {
  return real_address_info(context, is_interrupted);
}

// glibc's is in a part of it that is linked statically, and calls what other C libraries do not have.
__attribute__((visibility("hidden"))) int pthread_atfork(void (*before)(), void (*in_parent)(),
                                                         void (*in_child)()) noexcept {
  const auto real = reinterpret_cast<AtForkFunction>(dlsym(RTLD_DEFAULT, "__register_atfork"));
  return real == nullptr ? 0 : real(before, in_parent, in_child, nullptr);
}
}

namespace std {
// Each would be a mistake in this library: a mutex that its thread locks twice, a piece that begins behind
// its text.
__attribute__((visibility("hidden"))) void __throw_system_error(int) {
  std::abort();
}
__attribute__((visibility("hidden"))) void __throw_out_of_range_fmt(const char*, ...) {
  std::abort();
}
}  // namespace std
