// Whether the tests were built with a sanitizer that takes part in what they look at.
#pragma once

namespace codewake::testing {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitized = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kThreadSanitized = true;
#else
inline constexpr bool kThreadSanitized = false;
#endif
#else
inline constexpr bool kThreadSanitized = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = kThreadSanitized;
#endif
#else
inline constexpr bool kSanitized = kThreadSanitized;
#endif

/// Why a program that forks while its other threads work cannot be looked at: ThreadSanitizer ends a child
/// that starts threads, for it takes them for its parent's; AddressSanitizer's allocator may be locked in the
/// child forever, but not where those only wait, as the threads of a test's server do.
inline constexpr const char* kNoForkBesideThreads = "sanitizers do not follow a fork() beside other threads";

/// Why `codewake run` cannot be looked at: the library that it preloads is sanitized, the program is not.
inline constexpr const char* kNoPreloading = "sanitizers want to come before all other libraries";

}  // namespace codewake::testing
