// Whether the program runs under a sanitizer.
#pragma once

#include <dlfcn.h>

namespace codewake::internal {

/// Sanitizers have alternate stacks and handlers of their own, and do not expect code of ours at a thread's
/// very begin. Thread-safe; once it has been asked, async-signal-safe.
inline bool is_sanitized() noexcept {
  static const bool sanitized =
      dlsym(RTLD_DEFAULT, "__tsan_init") != nullptr || dlsym(RTLD_DEFAULT, "__asan_init") != nullptr;
  return sanitized;
}

}  // namespace codewake::internal
