// Calls at which a thread can be cancelled, made where it must not be unwound.
#pragma once

#include <pthread.h>

namespace codewake::internal {

/// While it exists, its thread is not cancelled: a request waits. Async-signal-safe.
class NoCancellation {
 public:
  NoCancellation() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  NoCancellation(const NoCancellation&) = delete;
  NoCancellation& operator=(const NoCancellation&) = delete;
  ~NoCancellation() { pthread_setcancelstate(before_, nullptr); }

 private:
  int before_ = 0;
};

}  // namespace codewake::internal
