// Replaces two functions of the C++ runtime. Every `throw`, the standard library's too, calls __cxa_throw;
// make_exception_ptr, which throws nothing, calls __cxa_init_primary_exception, and so does the runtime's own
// __cxa_throw. A rethrow, of whichever kind, makes no new exception object and needs no hook: the first stack
// is still there.
#include "codewake/throw_hook.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <span>
#include <typeinfo>

#include "codewake/export.hpp"
#include "codewake/stacktrace.hpp"
#include "stacktrace/capture.hpp"
#include "stacktrace/link_order.hpp"
#include "stacktrace/loaded_modules.hpp"
#include "stacktrace/next_function.hpp"
#include "stacktrace/throw_observer.hpp"
#include "stacktrace/thrown_stacks.hpp"

namespace codewake {
namespace {

using internal::ExceptionDestructor;
using ThrowFunction = void (*)(void*, std::type_info*, ExceptionDestructor);
using InitFunction = __cxxabiv1::__cxa_refcounted_exception* (*)(void*, std::type_info*, ExceptionDestructor);

// The low half is the number of frames to record, 0 while recording is off; the high half counts the probes
// under way. So a throw that is none of our business reads one word.
constinit std::atomic<std::uint32_t> mode{0};
constexpr std::uint32_t kFramesMask = 0xFFFF;
constexpr std::uint32_t kOneProbe = 0x10000;

constinit std::atomic<internal::ThrowObserver> throw_observer{nullptr};

// Thrown by ourselves, to see whether the hook sees it.
struct Probe {
  bool seen = false;
};

constinit std::atomic<ThrowFunction> real_throw{nullptr};
constinit std::atomic<InitFunction> real_init{nullptr};

// Stands in for the destructor of each exception whose stack is kept.
void destroy_thrown(void* object) {
  if (const ExceptionDestructor destructor = internal::drop_thrown_stack(object)) destructor(object);
}

// The result is the destructor that the runtime shall call. `observer` may be null.
ExceptionDestructor record(void* object, const std::type_info* type, ExceptionDestructor destructor,
                           internal::ThrowObserver observer) noexcept {
  const std::uint32_t current = mode.load(std::memory_order_relaxed);
  if (current >= kOneProbe && *type == typeid(Probe)) static_cast<Probe*>(object)->seen = true;
  // Seen before: __cxa_throw goes on to __cxa_init_primary_exception.
  if ((current & kFramesMask) == 0 || destructor == &destroy_thrown) return destructor;
  const std::uint32_t epoch = internal::module_epoch();
  void* addresses[Stacktrace::kMaxFrames];
  const std::span<void*> wanted(addresses, current & kFramesMask);
  const std::size_t size = internal::capture(wanted);
  if (observer != nullptr && *type != typeid(Probe)) observer(object, *type, std::span(addresses, size));
  const bool is_kept = internal::keep_thrown_stack(object, destructor, std::span(addresses, size), epoch);
  return is_kept ? &destroy_thrown : destructor;
}

// The ways of a throw while recording is on, and of the first one. Apart, so that the usual way saves no
// registers.
[[gnu::noinline]] void throw_recorded(void* object, std::type_info* type, ExceptionDestructor destructor) {
  const internal::ThrowObserver observer = throw_observer.load(std::memory_order_relaxed);
  const ThrowFunction real = internal::next_function(real_throw, "__cxa_throw");
  if (real == nullptr) std::terminate();
  return real(object, type, record(object, type, destructor, observer));
}

[[gnu::noinline]] auto init_recorded(void* object, std::type_info* type, ExceptionDestructor destructor) {
  return internal::next_function(real_init, "__cxa_init_primary_exception")(
      object, type, record(object, type, destructor, nullptr));
}

}  // namespace

void internal::observe_throws(ThrowObserver observer) noexcept {
  throw_observer.store(observer, std::memory_order_relaxed);
}

}  // namespace codewake

// The replacements. They have names of their own because compilers know __cxa_throw, as a function that does
// not return: ours must seem to, so that its last call becomes a jump. Else our frame would be unwound at
// each throw.
extern "C" {
CODEWAKE_API void codewake_throw(void* object, std::type_info* type,
                                 void (*destructor)(void*)) __asm__("__cxa_throw");
CODEWAKE_API __cxxabiv1::__cxa_refcounted_exception* codewake_init_primary_exception(
    void* object, std::type_info* type, void (*destructor)(void*)) __asm__("__cxa_init_primary_exception");
}

void codewake_throw(void* object, std::type_info* type, void (*destructor)(void*)) {
  using namespace codewake;
  const ThrowFunction real = real_throw.load(std::memory_order_relaxed);
  if (real == nullptr || mode.load(std::memory_order_relaxed) != 0)
    return throw_recorded(object, type, destructor);
  return real(object, type, destructor);
}

__cxxabiv1::__cxa_refcounted_exception* codewake_init_primary_exception(void* object, std::type_info* type,
                                                                        void (*destructor)(void*)) {
  using namespace codewake;
  const InitFunction real = real_init.load(std::memory_order_relaxed);
  if (real == nullptr || mode.load(std::memory_order_relaxed) != 0)
    return init_recorded(object, type, destructor);
  return real(object, type, destructor);
}

namespace codewake {
namespace {

bool sees_probe() {
  mode.fetch_add(kOneProbe, std::memory_order_relaxed);
  bool seen = false;
  try {
    throw Probe();
  } catch (const Probe& probe) {
    seen = probe.seen;
  }
  mode.fetch_sub(kOneProbe, std::memory_order_relaxed);
  return seen;
}

// From the moment the library is loaded: a program may meet its first exception before it has made its
// Process.
[[maybe_unused]] const bool recording_since_load = (record_throws(true), true);

}  // namespace

bool throw_hook_in_force() noexcept {
  // Opened with dlopen by a C program, the library sees itself, but what is opened later does not see the
  // library.
  return sees_probe() && internal::find_in_program("__cxa_throw") != nullptr;
}

std::string throw_hook_problem() {
  if (throw_hook_in_force()) return {};
  if (!internal::is_linked_into_program()) {
    return "libcodewake was opened with dlopen(): link the program with -lcodewake, or preload libcodewake "
           "with LD_PRELOAD";
  }
  Dl_info info{};
  link_map* module = nullptr;
  const int known = dladdr1(internal::find_in_program("__cxa_throw"), &info,
                            reinterpret_cast<void**>(&module), RTLD_DL_LINKMAP);
  if (known != 0 && module != nullptr && *module->l_name == '\0') {
    return "the program contains a C++ runtime of its own: link it without -static-libstdc++";
  }
  return fmt::format(
      "{} comes ahead of libcodewake: put -lcodewake ahead of -lstdc++ when linking the program, or preload "
      "libcodewake "
      "with LD_PRELOAD",
      known != 0 ? info.dli_fname : "libstdc++");
}

void record_throws(bool on, std::size_t max_frames) noexcept {
  if (on) {
    internal::prepare_capture();
    internal::guard_thrown_stacks_at_fork();
  }
  const auto frames =
      static_cast<std::uint32_t>(std::clamp<std::size_t>(max_frames, 1, Stacktrace::kMaxFrames));
  std::uint32_t current = mode.load(std::memory_order_relaxed);
  while (!mode.compare_exchange_weak(current, (current & ~kFramesMask) | (on ? frames : 0))) {
  }
}

}  // namespace codewake
