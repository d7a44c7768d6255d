// Whether the program runs under a sanitizer.
#pragma once

#include <dlfcn.h>

// A function of ours that is called CODEWAKE_REPLACES("name") is called in the place of the C library's. Not
// where the library is compiled for a sanitizer: they call these before code that they have changed can run.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CODEWAKE_REPLACES(name) __asm__("codewake_unused_" name)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define CODEWAKE_REPLACES(name) __asm__("codewake_unused_" name)
#endif
#endif
#ifndef CODEWAKE_REPLACES
#define CODEWAKE_REPLACES(name) __asm__(name)
#endif

// ThreadSanitizer's, where the program runs under it; else null.
extern "C" {
void __tsan_mutex_pre_unlock(void* mutex, unsigned flags) __attribute__((weak));
void __tsan_mutex_post_unlock(void* mutex, unsigned flags) __attribute__((weak));
}

namespace codewake::internal {

/// Sanitizers have alternate stacks and handlers of their own, and do not expect code of ours at a thread's
/// very begin. Thread-safe; once it has been asked, async-signal-safe.
inline bool is_sanitized() noexcept {
  static const bool sanitized =
      dlsym(RTLD_DEFAULT, "__tsan_init") != nullptr || dlsym(RTLD_DEFAULT, "__asan_init") != nullptr;
  return sanitized;
}

/// Tells ThreadSanitizer of a mutex that this thread has, and that is made anew without being unlocked.
/// Thread-safe.
inline void note_unlocked(void* mutex) noexcept {
  if (__tsan_mutex_pre_unlock == nullptr || __tsan_mutex_post_unlock == nullptr) return;
  __tsan_mutex_pre_unlock(mutex, 0);
  __tsan_mutex_post_unlock(mutex, 0);
}

}  // namespace codewake::internal
