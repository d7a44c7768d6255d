// Whether a thread is inside of the library, and of the store behind it.
#pragma once

namespace codewake::internal {

/// While one lives, its thread is recording: what is thrown there is the library's or the store's own. It may
/// hold their locks.
class RecordingHere {
 public:
  RecordingHere() noexcept : before_(here_) { here_ = true; }
  RecordingHere(const RecordingHere&) = delete;
  RecordingHere& operator=(const RecordingHere&) = delete;
  ~RecordingHere() { here_ = before_; }

  static bool is_here() noexcept { return here_; }

 private:
  static inline constinit thread_local bool here_ __attribute__((tls_model("initial-exec"))) = false;

  const bool before_;
};

}  // namespace codewake::internal
